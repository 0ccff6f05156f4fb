"""The role that a home machine acts in: it may receive from the job queues, and nothing else."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.constructs.job_queues import JobQueues


class NodeIdentity(Construct):
    """Only `broker` may assume the role; it narrows each session to one node's own queues."""

    def __init__(self, scope: Construct, construct_id: str, *, broker: RoomFunction, queues: JobQueues) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            description="Assumed for home machines, one short session each",
            assumed_by=iam.ArnPrincipal(broker.role.role_arn),
            max_session_duration=Duration.hours(1),
        )
        self.role.add_to_policy(iam.PolicyStatement(actions=["sqs:ReceiveMessage"], resources=queues.arns))
        broker.allow(["sts:AssumeRole"], on=[self.role.role_arn])
        broker.know(self.variables)

    @property
    def variables(self) -> dict[str, str]:
        return {"NODE_ROLE_ARN": self.role.role_arn}
