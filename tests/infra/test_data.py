"""Tables, bucket, secret: what holds the data, and what keeps it."""

import pytest

from gpupool.uploads.model import UNFINISHED_LIFETIME
from tests.infra.synthesised import Properties, Synthesised
from tests.support.tables import LOCAL_INDEXES, TABLES, projection_of

WITH_STREAM = {"jobs", "units", "events"}
WITH_TTL = {"keys", "nodes", "idempotency", "limits", "deliveries"}


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_the_keys_that_the_stores_are_tested_with(prod: Synthesised, name: str) -> None:
    table = prod.tables[name]
    partition, sort, indexes = TABLES[name]
    assert _keys(table) == (partition, sort)
    for kind, expected in (("GlobalSecondaryIndexes", indexes), ("LocalSecondaryIndexes", LOCAL_INDEXES.get(name, {}))):
        found = table.get(kind, [])
        assert {index["IndexName"]: _keys(index) for index in found} == expected
        assert all(index["Projection"] == projection_of(index["IndexName"]) for index in found)
    assert {attribute["AttributeType"] for attribute in table["AttributeDefinitions"]} == {"S"}


def test_there_are_no_other_tables(prod: Synthesised) -> None:
    assert set(prod.tables) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_tables_cost_by_use_and_can_be_restored(prod: Synthesised, name: str) -> None:
    table = prod.tables[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("name", TABLES)
def test_streams_and_expiry_are_where_they_are_used(prod: Synthesised, name: str) -> None:
    table = prod.tables[name]
    stream = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if name in WITH_STREAM else None
    ttl = {"AttributeName": "expires_at_epoch", "Enabled": True} if name in WITH_TTL else None
    assert table.get("StreamSpecification") == stream
    assert table.get("TimeToLiveSpecification") == ttl


@pytest.mark.parametrize("kind", ["AWS::DynamoDB::Table", "AWS::S3::Bucket"])
def test_data_outlives_the_stack_except_on_a_laptop(prod: Synthesised, local: Synthesised, kind: str) -> None:
    assert {item["DeletionPolicy"] for item in prod.resources(kind).values()} == {"Retain"}
    assert {item["DeletionPolicy"] for item in local.resources(kind).values()} == {"Delete"}


def test_the_laptop_differs_in_nothing_else(prod: Synthesised, local: Synthesised) -> None:
    def kinds(stage: Synthesised) -> list[tuple[str, str]]:
        items = stage.body["Resources"].items()
        return sorted((name, item["Type"]) for name, item in items if item["Type"] != "AWS::SNS::Subscription")

    def unversioned(stage: Synthesised) -> list[tuple[str, str]]:
        return [(name, kind) for name, kind in kinds(stage) if kind != "AWS::Lambda::LayerVersion"]

    assert unversioned(prod) == unversioned(local)


def test_buckets_are_private_encrypted_and_tls_only(prod: Synthesised) -> None:
    denied = {prod.text(item["Bucket"]) for item in prod.properties("AWS::S3::BucketPolicy").values() if _denies_http(item)}
    for name, bucket in prod.properties("AWS::S3::Bucket").items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]
        assert f"Bucket:{name}" in denied


def test_the_portal_alone_may_use_presigned_urls_from_a_browser(prod: Synthesised) -> None:
    (rule,) = _artifacts(prod)["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["https://portal.gpu-agent.example"]
    assert rule["AllowedMethods"] == ["PUT", "GET"]
    assert {"content-type", "x-amz-checksum-sha256"} <= set(rule["AllowedHeaders"])


def test_what_is_left_over_expires(prod: Synthesised) -> None:
    rules = {rule["Id"]: rule for rule in _artifacts(prod)["LifecycleConfiguration"]["Rules"]}
    days = UNFINISHED_LIFETIME.days
    assert rules["abort-unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": days}
    assert (rules["expire-log-chunks"]["Prefix"], rules["expire-log-chunks"]["ExpirationInDays"]) == ("logs/", 30)
    exports = rules["expire-exports"]
    assert (exports["Prefix"], exports["ExpirationInDays"]) == ("exports/", 1)
    assert exports["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rules["expire-replaced-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_the_signing_secret_is_generated_and_not_in_the_template(prod: Synthesised) -> None:
    (secret,) = prod.properties("AWS::SecretsManager::Secret").values()
    assert secret["GenerateSecretString"]["PasswordLength"] == 64
    assert "SecretString" not in secret


def _keys(item: Properties) -> tuple[str, str | None]:
    by_type = {key["KeyType"]: key["AttributeName"] for key in item["KeySchema"]}
    return by_type["HASH"], by_type.get("RANGE")


def _artifacts(stage: Synthesised) -> Properties:
    (bucket,) = [item for item in stage.properties("AWS::S3::Bucket").values() if "CorsConfiguration" in item]
    return bucket


def _denies_http(policy: Properties) -> bool:
    statements = policy["PolicyDocument"]["Statement"]
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    return any(item["Effect"] == "Deny" and item.get("Condition") == insecure for item in statements)
