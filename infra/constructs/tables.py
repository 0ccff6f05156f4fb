"""The DynamoDB tables: their keys, and who may do what with one."""

from dataclasses import dataclass, field

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.settings import StageSettings

TTL_ATTRIBUTE = "expires_at_epoch"
_ALL, _KEYS_ONLY = dynamodb.ProjectionType.ALL, dynamodb.ProjectionType.KEYS_ONLY
_READ = ["dynamodb:GetItem", "dynamodb:Query"]
_WRITE = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
_DELETE = ["dynamodb:DeleteItem"]


@dataclass(frozen=True)
class Key:
    """Names of a primary or an index key; every key is a string."""

    partition: str
    sort: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """One table. ``local_indexes`` sort the items of one partition by another attribute and can be read consistently; a
    table has them from its making on, and they keep a partition below 10 GB. Indexes named in ``keys_only`` hold no other
    attributes, so that no change of these is written twice."""

    name: str
    key: Key
    indexes: dict[str, Key]
    local_indexes: dict[str, str] = field(default_factory=dict)
    keys_only: frozenset[str] = frozenset()
    stream: bool = False
    ttl: bool = False


SPECS = (
    TableSpec("customers", Key("pk"), {}),
    TableSpec("keys", Key("pk"), {"by_customer": Key("customer_id", "created_at")}, ttl=True),
    TableSpec("uploads", Key("owner_kind", "id"), {}),
    TableSpec(
        "jobs",
        Key("job_id"),
        {
            "by_customer": Key("customer_id", "job_id"),
            "by_customer_status": Key("customer_status", "job_id"),
            "by_watch": Key("watch", "job_id"),
        },
        keys_only=frozenset({"by_watch"}),
        stream=True,
    ),
    TableSpec("progress", Key("job_id"), {}),
    TableSpec("units", Key("job_id", "unit_id"), {}, stream=True),
    TableSpec("gates", Key("unit_id", "gate"), {}),
    TableSpec("ledger", Key("customer_id", "entry_id"), {}, local_indexes={"by_time": "time_key"}),
    TableSpec("nodes", Key("pk"), {}, ttl=True),
    TableSpec("idempotency", Key("pk"), {}, ttl=True),
    TableSpec("events", Key("job_id", "event_key"), {}, stream=True),
    TableSpec("limits", Key("pk"), {}, ttl=True),
    TableSpec("webhooks", Key("customer_id", "id"), {}),
    TableSpec(
        "deliveries",
        Key("endpoint_id", "delivery_id"),
        {"by_sequence": Key("endpoint_id", "sequence_key"), "by_due": Key("due_shard", "due_at")},
        ttl=True,
    ),
)


class PoolTable(Construct):
    """One table and the grants that go with it."""

    def __init__(self, scope: Construct, construct_id: str, *, spec: TableSpec, settings: StageSettings) -> None:
        super().__init__(scope, construct_id)
        self._spec = spec
        self.variable = f"{spec.name.upper()}_TABLE"
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=settings.name(spec.name),
            partition_key=_attribute(spec.key.partition),
            sort_key=_attribute(spec.key.sort) if spec.key.sort else None,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if spec.stream else None,
            time_to_live_attribute=TTL_ATTRIBUTE if spec.ttl else None,
            deletion_protection=settings.keeps_data,
            removal_policy=RemovalPolicy.RETAIN if settings.keeps_data else RemovalPolicy.DESTROY,
        )
        for name, key in spec.indexes.items():
            self.table.add_global_secondary_index(
                index_name=name,
                partition_key=_attribute(key.partition),
                sort_key=_attribute(key.sort) if key.sort else None,
                projection_type=_KEYS_ONLY if name in spec.keys_only else _ALL,
            )
        for name, sort in spec.local_indexes.items():
            self.table.add_local_secondary_index(index_name=name, sort_key=_attribute(sort), projection_type=_ALL)

    @property
    def name(self) -> str:
        return self.table.table_name

    def let_read(self, *functions: RoomFunction) -> None:
        """Items by key, and queries of the table itself. No scans."""
        for function in functions:
            function.know({self.variable: self.name})
            function.allow(_READ, on=[self.table.table_arn])

    def let_read_together(self, *functions: RoomFunction) -> None:
        """Reading items of several tables in one call."""
        for function in functions:
            function.know({self.variable: self.name})
            function.allow(["dynamodb:BatchGetItem"], on=[self.table.table_arn])

    def let_read_and_write(self, *functions: RoomFunction) -> None:
        """Reading, puts and updates, also within transactions."""
        self.let_read(*functions)
        for function in functions:
            function.allow(_WRITE, on=[self.table.table_arn])

    def let_put(self, *functions: RoomFunction) -> None:
        """Adding items without reading or changing any."""
        for function in functions:
            function.know({self.variable: self.name})
            function.allow(["dynamodb:PutItem"], on=[self.table.table_arn])

    def let_update(self, *functions: RoomFunction) -> None:
        """Changing items without reading them."""
        for function in functions:
            function.know({self.variable: self.name})
            function.allow(["dynamodb:UpdateItem"], on=[self.table.table_arn])

    def let_query_indexes(self, *functions: RoomFunction, only: str | None = None) -> None:
        """Queries of every index, or of one."""
        names = [*self._spec.indexes, *self._spec.local_indexes] if only is None else [only]
        for function in functions:
            function.know({self.variable: self.name})
            function.allow(["dynamodb:Query"], on=[f"{self.table.table_arn}/index/{name}" for name in names])

    def let_delete(self, *functions: RoomFunction) -> None:
        """Only for what may be forgotten: sessions, keys, uploads, used codes. Jobs, units and entries never are."""
        for function in functions:
            function.allow(_DELETE, on=[self.table.table_arn])


class Tables(Construct):
    """Every table, by name."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        super().__init__(scope, construct_id)
        self.all = {spec.name: PoolTable(self, spec.name.capitalize(), spec=spec, settings=settings) for spec in SPECS}

    def __getitem__(self, name: str) -> PoolTable:
        return self.all[name]

    @property
    def variables(self) -> dict[str, str]:
        return {table.variable: table.name for table in self.all.values()}


def _attribute(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
