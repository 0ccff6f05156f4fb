"""Every code that a refusal of the customer door can carry: pure data, for the document, the guide to errors and the tests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """``status`` is the HTTP status, ``cause`` why it happens, ``remedy`` what the caller does next."""

    status: int
    cause: str
    remedy: str


# The codes that were published before this implementation; their names never change.
PUBLISHED = (
    "CUSTOMER_AUTH_REQUIRED",
    "API_KEY_INVALID",
    "API_KEY_REVOKED",
    "API_KEY_SCOPE_DENIED",
    "CREDIT_INSUFFICIENT",
    "RATE_LIMITED",
    "DAILY_TASK_LIMIT_EXCEEDED",
    "LEGACY_DEPRECATED",
    "JOB_NOT_FOUND",
    "ARTIFACT_NOT_FOUND",
    "SIGNED_URL_FAILED",
    "IDEMPOTENCY_CONFLICT",
    "IDEMPOTENCY_KEY_INVALID",
    "PAGINATION_INVALID_CURSOR",
    "EXPORT_RANGE_TOO_LARGE",
    "WEBHOOK_INVALID_URL",
    "WEBHOOK_DELIVERY_FAILED",
    "INTERNAL_ERROR",
)

_MALFORMED = {
    "VALIDATION_FAILED": Refusal(
        400,
        "The body, a query parameter or a header is missing, unknown, of the wrong type or out of range.",
        "Correct each place in details.fields and send the request again; unknown fields are refused, so check the spelling.",
    ),
    "IDEMPOTENCY_KEY_INVALID": Refusal(
        400,
        "Idempotency-Key is not 8 to 128 letters, digits, '-' or '_'.",
        "Send a UUID, or leave the header out.",
    ),
    "PAGINATION_INVALID_CURSOR": Refusal(
        400,
        "The cursor was altered, is older than 24 hours, or was made for another list, another filter or another customer.",
        "Start the list again without a cursor.",
    ),
    "EXPORT_RANGE_TOO_LARGE": Refusal(
        400,
        "The export asks for more than 90 days.",
        "Ask for several ranges of at most 90 days and put the files together.",
    ),
    "WEBHOOK_INVALID_URL": Refusal(
        400,
        "The webhook's URL is not https, carries credentials, or its host is not on the public internet.",
        "Give an https URL of a host that anybody can reach.",
    ),
    "SENSITIVITY_UNAVAILABLE": Refusal(
        400,
        "The job asks for private machines, which customers cannot have yet.",
        "Use low_sensitive for machines that the operator controls, or public.",
    ),
    "UNKNOWN_PARAMETER": Refusal(
        400,
        "The job sets a parameter that the package's manifest does not name.",
        "Use the names in details.known, or add the parameter to the package's [parameters].",
    ),
}

_ACCOUNTS = {
    "INVITATION_INVALID": Refusal(
        400,
        "The invitation is unknown, used, replaced by a newer one, or too old.",
        "Ask the operator for a new invitation.",
    ),
    "RESET_TOKEN_INVALID": Refusal(
        400,
        "The reset token is unknown, used, replaced by a newer one, or too old.",
        "Ask the operator for a new token.",
    ),
    "PASSWORD_WRONG": Refusal(
        400,
        "The current password is not the account's.",
        "Check it and try again, or ask the operator for a reset token.",
    ),
    "EMAIL_TAKEN": Refusal(
        409,
        "An account with the e-mail address of the invitation is there already.",
        "Sign in to it; its password can be reset by the operator.",
    ),
    "ORIGIN_DENIED": Refusal(
        403,
        "A page of another origin than the portal's asks for a change that only the session's cookie vouches for.",
        "Send the session token as a bearer token, or an API key.",
    ),
}

_PACKAGES = {
    "PACKAGE_INVALID": Refusal(
        400,
        "The training package is not a zip that can be read.",
        "Zip it again and declare the new file; details name the entry where there is one.",
    ),
    "PACKAGE_UNSAFE": Refusal(
        400,
        "The zip holds links, paths out of its folder, too many entries, or unpacks to too much.",
        "Leave out the entry in details, zip again and declare the new file.",
    ),
    "PACKAGE_NO_ENTRY": Refusal(
        400,
        "There is no manifest and no Python file that could be the entry.",
        "Put train.py at the root of the zip, or name the entry in gpu-agent.toml.",
    ),
    "MANIFEST_INVALID": Refusal(
        400,
        "The manifest gpu-agent.toml is not valid TOML, or says something that no plan can be made of.",
        "Correct the place in details.field; the manifest reference tells what each table may say.",
    ),
    "PLAN_CYCLIC": Refusal(
        400,
        "Units of the manifest need each other in a circle.",
        "Remove one of the needs that the message names.",
    ),
}

_WHO = {
    "CUSTOMER_AUTH_REQUIRED": Refusal(
        401,
        "Neither API key nor session was sent, the session is over, or only a session may do this.",
        "Send X-API-Key, or sign in and send the session token as a bearer token.",
    ),
    "LOGIN_FAILED": Refusal(
        401,
        "E-mail address or password is wrong; which of them is not told.",
        "Check both and try again.",
    ),
    "API_KEY_INVALID": Refusal(
        401,
        "The API key is unknown, cut off or expired.",
        "Check that all 33 characters are sent, or make a new key.",
    ),
    "API_KEY_REVOKED": Refusal(
        401,
        "The API key was revoked by its owner.",
        "Use another key; a revoked one never comes back.",
    ),
    "CREDIT_INSUFFICIENT": Refusal(
        402,
        "The most that the job can cost, its quote, is more than the credits available.",
        "Buy credits, wait for live jobs to release theirs, or ask for less time or fewer units; details tell both amounts.",
    ),
    "API_KEY_SCOPE_DENIED": Refusal(
        403,
        "The API key lacks the scope in details.required_scope.",
        "Make a key with that scope; scopes of a key cannot be changed.",
    ),
}

_ABSENT = {
    "WEBHOOK_NOT_FOUND": Refusal(
        404,
        "The customer has no webhook with this id.",
        "Check the id against GET /webhooks.",
    ),
    "DELIVERY_NOT_FOUND": Refusal(
        404,
        "The webhook has no delivery with this id, or it is older than 30 days.",
        "Check the id against the webhook's deliveries.",
    ),
    "NOT_FOUND": Refusal(
        404,
        "There is nothing at this path.",
        "Check the path against this reference.",
    ),
    "JOB_NOT_FOUND": Refusal(
        404,
        "No training job of yours has this id; a job of somebody else looks the same.",
        "List your jobs to find the id.",
    ),
    "ARTIFACT_NOT_FOUND": Refusal(
        404,
        "The job has no artifact with this id.",
        "List the job's artifacts; they appear as units complete.",
    ),
    "DATASET_NOT_FOUND": Refusal(
        404,
        "No dataset of yours has this id, or it was deleted.",
        "List your datasets, or upload it again.",
    ),
    "TRAINING_PACKAGE_NOT_FOUND": Refusal(
        404,
        "No training package of yours has this id, or it was deleted.",
        "List your packages, or upload it again.",
    ),
    "API_KEY_NOT_FOUND": Refusal(
        404,
        "No API key of yours has this id.",
        "List your keys; the id begins with key_.",
    ),
    "UNIT_NOT_FOUND": Refusal(
        404,
        "The job has no compute unit with this id.",
        "List the job's compute units to find the id.",
    ),
    "METHOD_NOT_ALLOWED": Refusal(
        405,
        "The path exists, but not for this method.",
        "Use one of the methods in the Allow header.",
    ),
}

_DELIVERIES = {
    "WEBHOOK_DELIVERY_FAILED": Refusal(
        200,
        "No answer carries it: it stands as error.code of a delivery whose ten attempts failed, or whose receiver is gone.",
        "See the delivery's attempts for what the receiver answered, correct the receiver, then replay the delivery.",
    ),
}

_STATE = {
    "IDEMPOTENCY_CONFLICT": Refusal(
        409,
        "The Idempotency-Key was used in the last 24 hours for a request with another body.",
        "Use a new key for a new request; to repeat the first one, send exactly its body.",
    ),
    "UPLOAD_MISSING": Refusal(
        409,
        "The upload is finalized before its bytes have arrived.",
        "PUT the bytes to upload.url with upload.headers, then finalize again.",
    ),
    "UPLOAD_MISMATCH": Refusal(
        409,
        "The bytes that arrived differ in size or SHA-256 from the declared ones.",
        "Declare the upload again with the size and SHA-256 of the file that you send.",
    ),
    "UPLOAD_NOT_MULTIPART": Refusal(
        409,
        "The upload goes in one piece, so it has no parts.",
        "PUT the bytes to the upload.url of its declaration.",
    ),
    "UPLOAD_NOT_PENDING": Refusal(
        409,
        "All parts of the upload have been put together, so none can be sent or listed any more.",
        "Finalize it, unless it is ready already.",
    ),
    "WEBHOOK_LIMIT_REACHED": Refusal(
        409,
        "There are twenty webhooks already.",
        "Delete one, or let one of them ask for more events.",
    ),
    "WEBHOOK_DISABLED": Refusal(
        409,
        "You disabled the webhook, or its receiver answered 410.",
        "Enable it with PATCH and enabled true, then send the request again.",
    ),
    "DELIVERY_PENDING": Refusal(
        409,
        "The delivery is still being attempted, so there is nothing to replay.",
        "Wait until it is delivered or has failed.",
    ),
    "UPLOAD_EXPIRED": Refusal(
        409,
        "The parts were not finalized within 7 days and have been thrown away.",
        "Declare the upload again and send all parts.",
    ),
    "DATASET_NOT_READY": Refusal(
        409,
        "The dataset has not been finalized.",
        "Finalize it, then submit the job again.",
    ),
    "TRAINING_PACKAGE_NOT_READY": Refusal(
        409,
        "The training package has not been finalized.",
        "Finalize it, then submit the job again.",
    ),
    "DATASET_IN_USE": Refusal(
        409,
        "A job that has not ended needs the dataset.",
        "Wait for the job or cancel it, then delete again.",
    ),
    "TRAINING_PACKAGE_IN_USE": Refusal(
        409,
        "A job that has not ended needs the training package.",
        "Wait for the job or cancel it, then delete again.",
    ),
    "JOB_NOT_CANCELLABLE": Refusal(
        409,
        "The job has ended.",
        "Nothing is left to do; read the job to see how it ended.",
    ),
    "LEGACY_DEPRECATED": Refusal(
        410,
        "Image jobs were removed for good.",
        "Use training jobs; details.replacement names the path.",
    ),
    "BODY_TOO_LARGE": Refusal(
        400,
        "The body is larger than 1 MB.",
        "Send files to the signed URL of an upload, not to this API.",
    ),
    "UNSUPPORTED_MEDIA_TYPE": Refusal(
        400,
        "The body does not say that it is JSON.",
        "Send the header Content-Type: application/json.",
    ),
}

_LATER = {
    "RATE_LIMITED": Refusal(
        429,
        "Too many requests or sign-ins in a minute, or as many training jobs that have not ended as there may be.",
        "Wait as many seconds as Retry-After says, then send the request again; a job also fits when another one ends.",
    ),
    "DAILY_TASK_LIMIT_EXCEEDED": Refusal(
        429,
        "What is left of the day's compute units (UTC) does not cover the job.",
        "Submit it tomorrow, after as many seconds as Retry-After says, or a job with fewer units now.",
    ),
    "INTERNAL_ERROR": Refusal(
        500,
        "A fault of ours.",
        "Try again later; if it stays, tell the operator the request_id.",
    ),
    "SIGNED_URL_FAILED": Refusal(
        503,
        "The storage did not sign a URL.",
        "Send the request again in a moment.",
    ),
    "STORAGE_UNAVAILABLE": Refusal(
        503,
        "The storage did not answer.",
        "Send the request again in a moment.",
    ),
    "TRY_AGAIN": Refusal(
        503,
        "Requests of yours at the same time kept changing the same rows; nothing was written.",
        "Send the request again.",
    ),
}

CODES: dict[str, Refusal] = {**_MALFORMED, **_ACCOUNTS, **_PACKAGES, **_WHO, **_ABSENT, **_STATE, **_LATER, **_DELIVERIES}
