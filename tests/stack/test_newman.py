"""The Postman collection of this project, and the published one where it is at hand, as newman runs them."""

from pathlib import Path

import pytest

from local import newman
from local.bringup import LocalStack
from local.layout import REPO_ROOT

pytestmark = pytest.mark.stack

PUBLISHED = REPO_ROOT.parent / "shared" / "seeds" / "gpu-agent.postman_collection.json"
COLLECTIONS = [newman.OURS, *([PUBLISHED] if PUBLISHED.exists() else [])]


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda path: path.parent.name)
def test_no_request_of_the_collection_fails(local_stack: LocalStack, collection: Path) -> None:
    outcome = newman.run(collection, local_stack.variables)

    assert outcome.failures == ()
    assert outcome.requests >= 19
