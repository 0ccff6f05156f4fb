"""Keys and passwords of one local stack, kept with its state because they are void without it."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from botocore.exceptions import ClientError

from local.deploy import Account
from local.process import RootKeys

_ADMIN = "local-admin"
_OWNER_ONLY = 0o600
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(frozen=True)
class Secrets:
    """Everything secret of one stack. Fields are None until the step that makes them has run."""

    root: RootKeys
    admin_key_id: str | None = None
    admin_secret: str | None = None
    customer_password: str | None = None
    customer_api_key: str | None = None

    @classmethod
    def load_or_make(cls, path: Path) -> "Secrets":
        """The secrets in the file, or new root keys saved to it."""
        try:
            fields = json.loads(path.read_text())
        except FileNotFoundError:
            made = cls(root=RootKeys.make())
            made.save(path)
            return made
        return cls(**{**fields, "root": RootKeys(**fields["root"])})

    def save(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self)))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; readers see the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
        file.write(text)
    draft.replace(path)


def ensure_admin(secrets: Secrets, *, endpoint: str) -> Secrets:
    """Secrets with the keys of an IAM user that may do everything; made by the root on first use.

    An ordinary user, because AWS lets no root assume roles, and whoever works with the stack should notice here.
    """
    if secrets.admin_key_id and _works(admin_account(secrets, endpoint=endpoint)):
        return secrets
    iam = Account.root(endpoint=endpoint, keys=secrets.root).client("iam")
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=_ADMIN)
    iam.put_user_policy(UserName=_ADMIN, PolicyName="everything", PolicyDocument=json.dumps(_EVERYTHING))
    key = iam.create_access_key(UserName=_ADMIN)["AccessKey"]
    return replace(secrets, admin_key_id=key["AccessKeyId"], admin_secret=key["SecretAccessKey"])


def admin_account(secrets: Secrets, *, endpoint: str) -> Account:
    """The admin user's account; only after `ensure_admin`."""
    if secrets.admin_key_id is None or secrets.admin_secret is None:
        raise ValueError("the admin user has no keys yet")
    return Account(endpoint=endpoint, access_key_id=secrets.admin_key_id, secret_access_key=secrets.admin_secret)


def _works(account: Account) -> bool:
    try:
        account.client("sts").get_caller_identity()
    except ClientError:
        return False
    return True
