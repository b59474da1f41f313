"""What schemathesis cannot know of our API.

How events are written in content types of their own, whose data is erased, and which answers are
right though they look otherwise: of several events each has its own outcome, what a dialect does not
know is taken and says nothing, and no schema knows what time it is.
"""

import json
from urllib.parse import unquote

import schemathesis


def as_json(value):
    return json.dumps(value).encode()


@schemathesis.serializer("text/plain")
def text(context, value):
    """What a beacon sends: JSON that is called text."""
    return value if isinstance(value, bytes) else as_json(value)


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """One value a line; the bulk format is text already."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        return b"\n".join(map(as_json, value))
    return value if isinstance(value, bytes) else as_json(value)


@schemathesis.serializer("application/yaml")
def yaml(context, value):
    """A text of rules as it is."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else as_json(value)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Choices and erasures are of a user of their own: journals hold only so many."""
    operation = context.operation
    user = path_parameters.get("id") if path_parameters else None
    if operation and operation.path.startswith("/api/users/") and is_name(user):
        return {**path_parameters, "id": "schemathesis"}
    return path_parameters


def is_name(user):
    return isinstance(user, str) and user.isprintable() and user.strip() and len(user) <= 64


@schemathesis.hook
def filter_failure(context, failure, case, response):
    kind = type(failure).__name__
    if case.path == "/rules/preview" and kind in ("AcceptedNegativeData", "RejectedPositiveData"):
        # what is a text of rules, a schema of JSON does not know
        return False
    if kind == "AcceptedNegativeData":
        return not told_by_event(case, answer_of(response))
    if kind == "RejectedPositiveData":
        return not beyond_schemas(case, answer_of(response))
    return True


def answer_of(response):
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def told_by_event(case, answer):
    """Several events, or a question what would happen: the answer says which event was refused."""
    if not isinstance(answer, dict):
        return False
    if case.path == "/1/events" and answer["message"] != "OK" or answer.get("errors"):
        return True
    refused = any(entry["status"] == "refused" for entry in answer.get("results", []))
    return refused or dialect(case)


def dialect(case):
    """Events in others' words: what says nothing of a product is taken, whatever else it holds."""
    return any(isinstance(event, dict) and teaches_nothing(event) for event in events_of(case.body))


def events_of(body):
    if isinstance(body, dict) and isinstance(body.get("events"), list):
        return body["events"]
    return body if isinstance(body, list) else [body]


KNOWN_ACTIONS = {
    "add_to_cart", "click", "view", "purchase", "item_click", "product_view", "buy", "conversion",
}


def teaches_nothing(event):
    if "action_name" in event:
        return event["action_name"] not in KNOWN_ACTIONS
    return not event.get("objectIDs") or event.get("eventType") == "view"


def beyond_schemas(case, answer):
    """What the description says in words: when, how many bytes, how a body of lines is made."""
    return (
        "at most 30 days back" in json.dumps(answer)
        or "_bulk" in case.path
        or answer.get("error") in ("not_a_websocket", "shop_declined")
        or is_long([case.body, case.path_parameters, case.query])
    )


def is_long(value):
    """64 letters, or 256, may be more bytes than that."""
    if isinstance(value, dict):
        return any(map(is_long, value.values()))
    if isinstance(value, list):
        return any(map(is_long, value))
    if not isinstance(value, str):
        return False
    text = unquote(value)
    return len(text.encode("utf-8", "replace")) > max(64, len(text))
