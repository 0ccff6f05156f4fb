"""What the template deploys, made in moto: tables with their indexes and streams, queues, the bucket and the secret."""

from typing import Any

from boto3.session import Session

from tests.cloud.template import REGION, Template

_TABLE = ("TableName", "KeySchema", "AttributeDefinitions", "BillingMode")
_OPTIONAL = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
_QUEUE = ("VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds")


class Deployment:
    """An empty deployment; ``clients`` are the driver's own, which no watcher sees."""

    def __init__(self, template: Template) -> None:
        session = Session(region_name=REGION)
        self.template = template
        self.dynamodb: Any = session.client("dynamodb")
        self.sqs: Any = session.client("sqs")
        self.s3: Any = session.client("s3")
        self.queue_urls: dict[str, str] = {}
        self._secrets(session)
        for table in template.properties("AWS::DynamoDB::Table").values():
            self._table(table)
        for queue in sorted(template.properties("AWS::SQS::Queue").values(), key=lambda each: "RedrivePolicy" in each):
            self._queue(queue)
        for name in template.properties("AWS::S3::Bucket"):
            self.s3.create_bucket(Bucket=template.name_of(name))

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the functions, all of them together."""
        credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
        return self.template.settings | credentials

    @property
    def bucket(self) -> str:
        return self.template.settings["BUCKET"]

    def _secrets(self, session: Session) -> None:
        manager: Any = session.client("secretsmanager")
        for name in self.template.properties("AWS::SecretsManager::Secret"):
            made = manager.create_secret(Name=name, SecretString="a secret of sixty-four characters or so")
            self.template.made[name] = made["ARN"]

    def _table(self, table: dict[str, Any]) -> None:
        asked = {name: table[name] for name in _TABLE} | {name: table[name] for name in _OPTIONAL if name in table}
        if "StreamSpecification" in table:
            asked["StreamSpecification"] = table["StreamSpecification"] | {"StreamEnabled": True}
        self.dynamodb.create_table(**asked)

    def _queue(self, queue: dict[str, Any]) -> None:
        attributes = {name: str(queue[name]) for name in _QUEUE if name in queue}
        if "RedrivePolicy" in queue:
            policy = queue["RedrivePolicy"]
            target, most = policy["deadLetterTargetArn"], policy["maxReceiveCount"]
            attributes["RedrivePolicy"] = f'{{"deadLetterTargetArn": "{target}", "maxReceiveCount": {most}}}'
        made = self.sqs.create_queue(QueueName=queue["QueueName"], Attributes=attributes)
        self.queue_urls[queue["QueueName"]] = made["QueueUrl"]
