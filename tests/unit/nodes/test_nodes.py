"""Who a machine is, what it may receive, and what the units learn of it."""

from datetime import timedelta
from secrets import token_hex

import pytest

from gpupool.clock import FixedClock
from gpupool.dispatch.model import QueueUrls
from gpupool.errors import AuthRequired, Forbidden, NotFound
from gpupool.nodes.memory import MemoryIssuer, MemoryNodeStore
from gpupool.nodes.model import Node, Tier
from gpupool.nodes.queues import queues_for
from gpupool.nodes.service import Nodes, NodeTerms, Pairing
from gpupool.units.model import Pool
from gpupool.wire.joining import PairRequest
from gpupool.wire.units import HeartbeatRequest, Lease, RunningUnit
from gpupool.wire.vocabulary import CapabilityClass
from gpupool.world import World
from tests.factories import a_unit
from tests.support.nodes import URLS, a_node, some_capabilities


class Fleet:
    """The nodes service over memory, with one machine that has joined."""

    def __init__(self, tier: Tier = Tier.CONTROLLED) -> None:
        self.clock = FixedClock()
        self.store = MemoryNodeStore(World())
        self.issuer = MemoryIssuer(self.clock)
        terms = NodeTerms(region="eu-central-1", heartbeat_seconds=15, lease_seconds=60)
        self.nodes = Nodes(store=self.store, issuer=self.issuer, queues=URLS, terms=terms, clock=self.clock)
        pairing = Pairing(store=self.store, random_hex=token_hex, clock=self.clock)
        request = PairRequest(code=pairing.create_code(tier), name="Ada's tower", capabilities=some_capabilities())
        self.paired = pairing.redeem(request)

    @property
    def authorization(self) -> str:
        return f"Bearer {self.paired.device_key}"

    @property
    def node(self) -> Node:
        return self.nodes.authenticate(self.authorization)


def test_the_device_key_names_and_proves_the_node() -> None:
    fleet = Fleet()

    assert fleet.nodes.authenticate(fleet.authorization).id == fleet.paired.node_id
    assert fleet.nodes.authenticate(f"bearer {fleet.paired.device_key}").id == fleet.paired.node_id


def test_anything_but_the_key_is_refused() -> None:
    fleet = Fleet()
    key = fleet.paired.device_key
    wrong_secret = key[:-1] + ("A" if key[-1] != "A" else "B")
    unknown_node = key.replace(fleet.paired.node_id, "0" * 36)

    for header in (None, "", key, f"Basic {key}", "Bearer", "Bearer nk_", f"Bearer {wrong_secret}", f"Bearer {unknown_node}"):
        with pytest.raises(AuthRequired) as refused:
            fleet.nodes.authenticate(header)
        assert refused.value.code == "NODE_AUTH_REQUIRED"


def test_a_key_of_absurd_length_never_reaches_the_store() -> None:
    fleet = Fleet()

    with pytest.raises(AuthRequired):
        fleet.nodes.authenticate("Bearer nk_" + "a" * 5000 + "_" + "b" * 43)


def test_a_revoked_node_is_told_so_when_it_shows_its_key() -> None:
    fleet = Fleet()
    fleet.nodes.revoke(fleet.paired.node_id)

    with pytest.raises(Forbidden) as refused:
        fleet.nodes.authenticate(fleet.authorization)
    assert refused.value.code == "NODE_REVOKED"

    with pytest.raises(AuthRequired):
        fleet.nodes.authenticate(f"Bearer nk_{fleet.paired.node_id}_" + "x" * 43)


def test_revoking_an_unknown_node_says_so() -> None:
    with pytest.raises(NotFound):
        Fleet().nodes.revoke("nobody")


def test_credentials_open_the_queues_that_the_node_serves_and_no_others() -> None:
    fleet = Fleet(Tier.COMMUNITY)

    answer = fleet.nodes.credentials(fleet.node, some_capabilities(vram_mb=17_000))

    offered = [(queue.pool, queue.capability) for queue in answer.queues]
    assert offered == [("public", "gpu-16g"), ("public", "gpu-8g"), ("public", "cpu")]
    assert fleet.issuer.issued == [(fleet.paired.node_id, tuple(queue.url for queue in answer.queues))]
    assert answer.expires_at == fleet.clock.now() + timedelta(hours=1)
    assert (answer.region, answer.heartbeat_seconds, answer.lease_seconds) == ("eu-central-1", 15, 60)


def test_what_the_node_can_do_today_replaces_what_it_could() -> None:
    fleet = Fleet()
    now = some_capabilities(vram_mb=24_000, disk_free_mb=7)
    fleet.clock.advance(60)

    fleet.nodes.credentials(fleet.node, now)

    assert fleet.node.capabilities == now
    assert fleet.node.last_seen_at == fleet.clock.now()
    assert (fleet.nodes.worker(fleet.node).vram_mb, fleet.nodes.worker(fleet.node).disk_free_mb) == (24_000, 7)


def test_a_node_without_a_sandbox_gets_no_queues_and_no_keys() -> None:
    fleet = Fleet()

    answer = fleet.nodes.credentials(fleet.node, some_capabilities(vram_mb=80_000, sandbox="none"))

    assert answer.queues == []
    assert (answer.access_key_id, answer.secret_access_key, answer.session_token) == ("", "", "")
    assert fleet.issuer.issued == []
    assert fleet.nodes.worker(fleet.node).queue_urls == frozenset()


def test_community_machines_serve_the_public_pool_only() -> None:
    queues = queues_for(Tier.COMMUNITY, some_capabilities(vram_mb=80_000), urls=URLS)

    assert {queue.pool for queue in queues} == {Pool.PUBLIC}
    assert {queue.capability for queue in queues} == set(CapabilityClass)


def test_controlled_machines_serve_both_pools_the_scarcer_first() -> None:
    queues = queues_for(Tier.CONTROLLED, some_capabilities(vram_mb=8_000), urls=URLS)

    assert [(queue.pool, queue.capability) for queue in queues] == [
        ("controlled", "gpu-8g"),
        ("controlled", "cpu"),
        ("public", "gpu-8g"),
        ("public", "cpu"),
    ]


def test_a_class_that_the_deployment_lacks_is_left_out() -> None:
    queues = queues_for(Tier.COMMUNITY, some_capabilities(vram_mb=8_000), urls=QueueUrls({"public-cpu": "https://sqs/1/cpu"}))

    assert [queue.url for queue in queues] == ["https://sqs/1/cpu"]


def test_a_heartbeat_is_noted() -> None:
    fleet = Fleet()
    fleet.clock.advance(15)
    polled = fleet.clock.now() - timedelta(seconds=3)

    fleet.nodes.seen(fleet.node, HeartbeatRequest(draining=True, last_poll_ok_at=polled))

    assert (fleet.node.last_seen_at, fleet.node.draining, fleet.node.last_poll_ok_at) == (fleet.clock.now(), True, polled)


@pytest.mark.parametrize(("works", "minutes"), [(False, 4), (True, 10)])
def test_a_machine_is_noted_again_when_its_last_sighting_is_old(works: bool, minutes: int) -> None:
    fleet = Fleet()
    running = RunningUnit(unit_id=a_unit().id, lease=Lease(attempt=1, lease_token="a" * 32))
    heartbeat = HeartbeatRequest(units=[running] if works else [])
    paired_at = fleet.clock.now()

    fleet.clock.advance(minutes * 60 - 1)
    fleet.nodes.seen(fleet.node, heartbeat)
    assert fleet.node.last_seen_at == paired_at

    fleet.clock.advance(1)
    fleet.nodes.seen(fleet.node, heartbeat)
    assert fleet.node.last_seen_at == fleet.clock.now()


def test_units_learn_a_public_name_and_nothing_of_the_owner() -> None:
    fleet = Fleet(Tier.COMMUNITY)

    worker = fleet.nodes.worker(a_node(tier=Tier.COMMUNITY))

    assert worker.node_name == "node-7f3a"
    assert worker.queue_urls == {URLS.by_name["public-cpu"]}
    assert "Ada" not in repr(worker)
