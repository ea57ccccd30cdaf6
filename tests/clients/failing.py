"""Meets every error that a server tells, through the official client: `python failing.py URL`.

Prints a line of JSON for each: the status, the class of the exception, and what the client has read of the body.
"""

import json
import sys

from torc import openapi_client as client
from torc.api import make_api
from torc.openapi_client.exceptions import ApiException


def met(api, name, *args, **named):
    """Call an operation that has to fail."""
    try:
        getattr(api, name)(*args, **named)
    except ApiException as error:
        body = json.loads(error.body)
        data = error.data
        read = (
            None
            if data is None
            else {"error": data.error, "code": data.code, "error_message": data.error_message}
        )
        kind = type(error).__name__
        print(
            json.dumps(
                {"operation": name, "status": error.status, "class": kind, "body": body, "read": read}
            ),
            flush=True,
        )
    else:
        print(json.dumps({"operation": name, "status": 200}), flush=True)


def main(url):
    """All of them; those that no call of an honest client meets are told by a place that always fails."""
    api = make_api(url)
    id = api.create_workflow(client.WorkflowModel(name="w", user="ann")).id
    met(api, "get_job", 999)
    met(api, "create_job", client.JobModel(workflow_id=id, name="", command="x"))
    event = api.list_events(id).items[0].id
    met(api, "update_event", event, {"a": 1})
    group = api.create_access_group(client.AccessGroupModel(name="team"))
    met(api, "create_access_group", client.AccessGroupModel(name="team"))
    api.delete_access_group(group.id)
    for status in (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, 507):
        failing = make_api(url.replace("/torc-service/v1", f"/fail/{status}/torc-service/v1"))
        met(failing, "create_file", client.FileModel(workflow_id=id, name="f", path="f"))


if __name__ == "__main__":
    main(sys.argv[1])
