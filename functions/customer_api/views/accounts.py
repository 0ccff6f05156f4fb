"""How customers and keys look to their owner."""

from functions.customer_api.answers import View, moment
from gpupool.accounts.model import ApiKey, Customer


def customer(row: Customer) -> View:
    return {"id": row.id, "email": row.email, "name": row.name, "created_at": moment(row.created_at)}


def api_key(row: ApiKey) -> View:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.hint,
        "scopes": sorted(row.scopes),
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at),
    }
