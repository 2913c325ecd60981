"""Meta's error responses by name: HTTP status and error object, as reported by integrators."""

from typing import Any

RATE_MESSAGE = "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again."
_NO_OBJECT = (
    "Unsupported get request. Object with ID does not exist, cannot be loaded due to missing permissions, "
    "or does not support this operation."
)
_NO_MESSAGES = "(#200) To subscribe to the messages field, one of these permissions is needed: pages_messaging"
_ERRORS: dict[str, tuple[int, int, int | None, str]] = {
    "1": (500, 1, None, "An unknown error has occurred."),
    "2": (500, 2, None, "An unexpected error has occurred. Please retry your request later."),
    "3": (400, 3, None, "(#3) Application does not have the capability to make this API call."),
    "4": (403, 4, None, "(#4) Application request limit reached"),
    "10": (403, 10, None, "(#10) Application does not have permission for this action"),
    "17": (400, 17, None, "(#17) User request limit reached"),
    "100": (400, 100, None, "(#100) Tried accessing nonexisting field (profile_pic)"),
    "100-33": (400, 100, 33, _NO_OBJECT),
    "100-2018218": (400, 100, 2018218, "(#100) No profile available for this user."),
    "100-method": (400, 100, None, "Unsupported request - method type: get"),
    "100-proof": (400, 100, None, "Invalid appsecret_proof provided in the API argument"),
    "100-2534013": (400, 100, 2534013, "(#100) The Page has no Instagram account linked to it."),
    "190": (400, 190, 463, "Error validating access token: Session has expired."),
    "190-460": (400, 190, 460, "Error validating access token: The session has been invalidated."),
    "190-checkpoint": (400, 190, 459, "Error validating access token: You cannot access the app till you log in."),
    "190-wrong-host": (401, 190, None, "Invalid OAuth access token - Cannot parse access token"),
    "200": (403, 200, 2534048, "(#200) App does not have Advanced Access to instagram_manage_messages permission."),
    "200-subscribe": (403, 200, None, _NO_MESSAGES),
    "230": (403, 230, None, "(#230) User consent is required to access user profile"),
    "613": (400, 613, 2534040, "(#613) Calls to this api have exceeded the rate limit."),
    "80002": (400, 80002, None, RATE_MESSAGE),
    "80006": (400, 80006, None, "(#80006) There have been too many messenger api calls to this Page account."),
    "9010": (400, 9010, None, "(#9010) No matching Instagram user"),
    "9000001": (400, 9000001, None, "This Message has been deleted by the user or the business."),
}
NAMES = frozenset(_ERRORS)


def error(name: str, message: str | None = None) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body of the error called `name`, such as "230" or "100-33"."""
    status, code, subcode, default_message = _ERRORS[name]
    kind = "GraphMethodException" if subcode == 33 else "OAuthException"
    found: dict[str, Any] = {"message": message or default_message, "type": kind, "code": code}
    if subcode is not None:
        found["error_subcode"] = subcode
    if code in (2, 4):
        found["is_transient"] = True
    return status, {"error": found | {"fbtrace_id": f"ASandbox{code}"}}


def code_of(body: Any) -> int | None:
    """Return the error code in a response, or None for a success."""
    found = body.get("error", {}).get("code") if isinstance(body, dict) else None
    return found if isinstance(found, int) else None
