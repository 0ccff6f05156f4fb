"""The whole deployment: which parts there are, and who may use what. No resource properties stand here."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.constructs.artifact_bucket import ArtifactBucket
from infra.constructs.event_sources import EVENT_WRITTEN, JOB_WRITTEN, UNIT_WRITTEN, EventSources
from infra.constructs.http_api import FrontDoor
from infra.constructs.job_queues import JobQueues
from infra.constructs.monitoring import Monitoring, Watched
from infra.constructs.node_identity import NodeIdentity
from infra.constructs.recovery import Recovery
from infra.constructs.rooms import Rooms
from infra.constructs.secrets import SigningSecret
from infra.constructs.tables import Tables
from infra.constructs.training_workflow import TrainingWorkflow, WorkflowRooms
from infra.constructs.webhook_queue import WebhookQueue
from infra.settings import StageSettings


class GpuPoolStack(Stack):
    """One deployment of the pool, in any account and region."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        super().__init__(scope, construct_id, description="GPU-Agent: train on a pool of home machines")
        self.settings = settings
        self.rooms = Rooms(self, "Rooms", settings=settings)
        self.tables = Tables(self, "Tables", settings=settings)
        self.queues = JobQueues(self, "Queues", settings=settings, dead_letter_visibility=self.rooms.dead_letter_visibility)
        self.bucket = ArtifactBucket(self, "Artifacts", settings=settings)
        self.secret = SigningSecret(self, "Signing")
        self.nodes = NodeIdentity(self, "Nodes", broker=self.rooms.node_api, queues=self.queues)
        self.workflow = TrainingWorkflow(
            self,
            "Training",
            settings=settings,
            rooms=WorkflowRooms(
                plan=self.rooms.plan_job,
                tend=self.rooms.tend_job,
                advance=self.rooms.advance_job,
                close=self.rooms.close_job,
            ),
        )
        self.door = FrontDoor(
            self,
            "Door",
            settings=settings,
            routes={
                "/api/v1/customer/{proxy+}": self.rooms.customer_api,
                "/api/v1/node/{proxy+}": self.rooms.node_api,
            },
            otherwise=self.rooms.customer_api,
        )
        self.webhooks = WebhookQueue(
            self, "Webhooks", settings=settings, sender=self.rooms.deliver_webhook, sweep=self.rooms.sweep_webhooks
        )
        self._grant_tables()
        self._grant_recovery()
        self._grant_bucket_and_secret()
        self._grant_messages()
        self._wake_functions()
        self._watch()
        self._say_what_there_is()

    def _grant_tables(self) -> None:
        self._grant_accounts_and_money()
        self._grant_events()
        self._grant_webhooks()
        rooms, jobs, units = self.rooms, self.tables["jobs"], self.tables["units"]
        steps = (rooms.plan_job, rooms.tend_job, rooms.close_job)
        jobs.let_read_and_write(rooms.customer_api, *steps, rooms.advance_job, rooms.on_unit_written)
        for index in ("by_customer", "by_customer_status"):
            jobs.let_query_indexes(rooms.customer_api, only=index)
        jobs.let_read(rooms.node_api, rooms.on_job_written)
        for table in (jobs, self.tables["progress"]):
            table.let_read_together(
                rooms.customer_api,
                rooms.node_api,
                *steps,
                rooms.advance_job,
                rooms.on_job_written,
                rooms.on_unit_written,
                rooms.on_dead_letter,
            )
        self.tables["progress"].let_put(rooms.customer_api)
        self.tables["progress"].let_update(rooms.tend_job, rooms.close_job, rooms.on_unit_written)
        units.let_read_and_write(rooms.node_api, *steps, rooms.on_unit_written, rooms.on_dead_letter)
        units.let_read(rooms.customer_api)
        self.tables["gates"].let_put(rooms.plan_job)
        self.tables["gates"].let_update(rooms.tend_job, rooms.on_unit_written)
        # Its core is built with every store of the outbox; it calls only that of the jobs, so the name is all it gets.
        rooms.on_job_written.know({units.variable: units.name})
        # Likewise: the steps share one core, of which each calls a part.
        for function in (rooms.advance_job, rooms.plan_job, rooms.tend_job):
            unused = ("uploads", "ledger", "units")
            function.know({self.tables[name].variable: self.tables[name].name for name in unused})

    def _grant_recovery(self) -> None:
        """What it repairs it does as the functions do whose work was lost, so it has what these have together; no deletes."""
        recovery, tables = self.rooms.reconcile, self.tables
        for name in ("jobs", "units", "ledger"):
            tables[name].let_read_and_write(recovery)
        tables["jobs"].let_query_indexes(recovery, only="by_watch")
        for name in ("jobs", "progress"):
            tables[name].let_read_together(recovery)
        for name in ("limits", "webhooks"):
            tables[name].let_read(recovery)
        for name in ("gates", "progress", "webhooks"):
            tables[name].let_update(recovery)
        for name in ("events", "deliveries"):
            tables[name].let_read(recovery)
            tables[name].let_put(recovery)
        # Built with everything that tells events and with every step; it warns of no credits, and plans and closes nothing.
        recovery.know({tables[name].variable: tables[name].name for name in ("idempotency", "uploads")})
        self.queues.let_count(recovery)
        self.webhooks.let_send(recovery)
        self.workflow.let_start(recovery)
        self.workflow.let_look(recovery)
        self.workflow.let_resume(recovery)

    def _grant_webhooks(self) -> None:
        """The sender talks to strangers, so it gets least: two tables, and the queue."""
        rooms, endpoints, deliveries = self.rooms, self.tables["webhooks"], self.tables["deliveries"]
        endpoints.let_read_and_write(rooms.customer_api)
        endpoints.let_delete(rooms.customer_api)
        endpoints.let_read(rooms.on_event_written, rooms.deliver_webhook)
        endpoints.let_update(rooms.on_event_written, rooms.deliver_webhook)
        deliveries.let_read(rooms.customer_api, rooms.on_event_written, rooms.deliver_webhook)
        deliveries.let_put(rooms.customer_api, rooms.on_event_written, rooms.deliver_webhook)
        deliveries.let_query_indexes(rooms.customer_api, only="by_sequence")
        deliveries.let_query_indexes(rooms.sweep_webhooks, only="by_due")
        # Built with the store of both tables; only deliveries are swept.
        rooms.sweep_webhooks.know({endpoints.variable: endpoints.name})
        self.webhooks.let_send(rooms.customer_api, rooms.on_event_written)
        for function in (rooms.customer_api, rooms.deliver_webhook):
            function.know(self.settings.insecure_receivers)

    def _grant_accounts_and_money(self) -> None:
        customer, node, close = self.rooms.customer_api, self.rooms.node_api, self.rooms.close_job
        for name in ("customers", "keys", "idempotency", "limits"):
            self.tables[name].let_read_and_write(customer)
        for name in ("uploads", "idempotency", "limits"):
            self.tables[name].let_read_together(customer)
        self.tables["limits"].let_update(close)
        self.tables["keys"].let_query_indexes(customer)
        self.tables["keys"].let_delete(customer)
        self.tables["uploads"].let_read_and_write(customer, close)
        self.tables["uploads"].let_read(self.rooms.plan_job)
        self.tables["uploads"].let_delete(customer)
        self.tables["ledger"].let_read_and_write(customer, close, self.rooms.tend_job, self.rooms.on_unit_written)
        self.tables["ledger"].let_query_indexes(customer)
        self.tables["nodes"].let_read_and_write(node)
        self.tables["nodes"].let_delete(node)

    def _grant_events(self) -> None:
        """Both streams tell events; a new job also warns of few credits, once a day."""
        on_job, on_unit = self.rooms.on_job_written, self.rooms.on_unit_written
        self.tables["events"].let_put(on_job, on_unit)
        self.tables["events"].let_read(self.rooms.customer_api)
        self.tables["ledger"].let_read(on_job)
        self.tables["idempotency"].let_read(on_job)
        self.tables["idempotency"].let_put(on_job)
        # Built with everything that tells events; no unit warns of anything.
        on_unit.know({self.tables["idempotency"].variable: self.tables["idempotency"].name})

    def _grant_bucket_and_secret(self) -> None:
        customer, node = self.rooms.customer_api, self.rooms.node_api
        self.bucket.let_read(customer, "customers", "jobs", "logs", "exports")
        self.bucket.let_put(customer, "customers", "exports")
        self.bucket.let_put_in_parts(customer, "customers")
        self.bucket.let_delete(customer, "customers")
        self.bucket.let_read(node, "customers", "jobs")
        self.bucket.let_put(node, "jobs", "logs")
        self.secret.let_read(customer)

    def _grant_messages(self) -> None:
        rooms = self.rooms
        self.queues.let_extend_and_delete(rooms.node_api)
        self.queues.let_send(rooms.on_unit_written, rooms.on_dead_letter)
        self.workflow.let_start(rooms.on_job_written, rooms.tend_job, rooms.close_job)
        for function in (rooms.plan_job, rooms.advance_job):
            function.know(self.workflow.variables)
        self.workflow.let_resume(rooms.advance_job, rooms.on_job_written, rooms.on_unit_written)

    def _wake_functions(self) -> None:
        self.sources = EventSources(self, "Sources", settings=self.settings)
        self.sources.stream(self.tables["jobs"], self.rooms.on_job_written, filters=JOB_WRITTEN)
        self.sources.stream(self.tables["units"], self.rooms.on_unit_written, filters=UNIT_WRITTEN)
        self.sources.stream(self.tables["events"], self.rooms.on_event_written, filters=EVENT_WRITTEN)
        self.sources.stopped_executions(self.workflow, self.rooms.close_job)
        self.sources.dead_letters(self.queues.dead_letters, self.rooms.on_dead_letter)
        self.recovery = Recovery(self, "Recovery", settings=self.settings, room=self.rooms.reconcile)

    def _watch(self) -> None:
        rooms = self.rooms
        watched = Watched(
            rooms=rooms.all,
            streams=[rooms.on_job_written, rooms.on_unit_written, rooms.on_event_written],
            webhooks=self.webhooks,
            queues=self.queues,
            sources=self.sources,
            workflow=self.workflow,
            recovery=self.recovery,
            door=self.door,
        )
        self.monitoring = Monitoring(self, "Monitoring", settings=self.settings, watched=watched)

    def _say_what_there_is(self) -> None:
        """Outputs. `Settings` holds what the core's settings read, so that an operator's machine can act like a function."""
        everything = {
            **self.rooms.common_variables,
            **self.tables.variables,
            **self.bucket.variables,
            **self.queues.variables,
            **self.webhooks.variables,
            **self.settings.insecure_receivers,
            **self.workflow.variables,
            **self.nodes.variables,
            **self.secret.variables,
        }
        CfnOutput(self, "ApiUrl", value=self.door.url)
        CfnOutput(self, "BucketName", value=self.bucket.bucket.bucket_name)
        CfnOutput(self, "StateMachineArn", value=self.workflow.machine.state_machine_arn)
        CfnOutput(self, "Settings", value=self.to_json_string(everything))
