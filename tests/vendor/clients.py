"""Drives the vendor's own clients: one call for each line of JSON on standard input, one line of JSON in answer.

A call: {"client": "new-v3" | "new-v1" | "old-v1", "endpoint": "host:port", "key": {"id", "secret", "token"}, "action", "parameters",
"nonce", "date", "version", "anonymous", "timeoutMillis"}; the last five may be left out. Structured parameters stand there as JSON, not as texts: how they
become texts is the client's own business.
An answer: {"body": ...}, or {"error": {"code", "status", "message", "requestId", "retryAfter"}} where the client raised one.
"""

import json
import logging
import sys

from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.utils import parameter_helper
import aliyunsdklive.request.v20161101 as old_requests
import importlib

from alibabacloud_live20161101 import models
from alibabacloud_live20161101.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi import utils_models
from darabonba.runtime import RuntimeOptions

# The clients' own methods for these actions; others are called by their names.
METHODS = {
    "StartLiveMPUTask": "start_live_mputask_with_options",
    "UpdateLiveMPUTask": "update_live_mputask_with_options",
    "StopLiveMPUTask": "stop_live_mputask_with_options",
    "ListRtcMPUTaskDetail": "list_rtc_mputask_detail_with_options",
    "DescribeChannelUsers": "describe_channel_users_with_options",
    "ListRTCLiveRooms": "list_rtclive_rooms_with_options",
}
VERSION = "2016-11-01"

CLOCKS_AND_NONCES = [
    (Utils, "get_nonce", "nonce", True),
    (Utils, "get_timestamp", "date", True),
    (parameter_helper, "get_uuid", "nonce", False),
    (parameter_helper, "get_iso_8061_date", "date", False),
]
THEIR_OWN = [getattr(place, name) for place, name, _, _ in CLOCKS_AND_NONCES]


def pretend(call):
    """Replaces nonce and date where the call gives them, and puts the clients' own back where not."""
    for (place, name, field, static), own in zip(CLOCKS_AND_NONCES, THEIR_OWN):
        given = call.get(field)
        made = own if given is None else (lambda given=given: given)
        setattr(place, name, staticmethod(made) if static else made)


def newer(call):
    key = call["key"]
    client = Client(
        utils_models.Config(
            access_key_id=key["id"],
            access_key_secret=key["secret"],
            security_token=key.get("token"),
            endpoint=call["endpoint"],
            protocol="http",
            signature_algorithm="v2" if call["client"] == "new-v1" else None,
        )
    )
    timeout = call.get("timeoutMillis", 10_000)
    runtime = RuntimeOptions(connect_timeout=5_000, read_timeout=timeout)
    action, parameters = call["action"], call["parameters"]
    if action in METHODS and "version" not in call:
        request = getattr(models, action + "Request")().from_map(parameters)
        # `from_map` makes an absent list an empty one, which would be sent; who makes a request by its constructor leaves it out.
        if "MultiStreamURL" not in parameters and hasattr(request, "multi_stream_url"):
            request.multi_stream_url = None
        return getattr(client, METHODS[action])(request, runtime).body.to_map()
    described = utils_models.Params(
        action=action,
        version=call.get("version", VERSION),
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="Anonymous" if call.get("anonymous") else "AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    request = utils_models.OpenApiRequest(query=Utils.query(parameters))
    return client.call_api(described, request, runtime)["body"]


def older(call):
    key = call["key"]
    host, port = call["endpoint"].split(":")
    options = {"region_id": "cn-shanghai", "auto_retry": False, "port": int(port)}
    if key.get("token"):
        credential = StsTokenCredential(key["id"], key["secret"], key["token"])
        client = AcsClient(credential=credential, **options)
    else:
        client = AcsClient(key["id"], key["secret"], **options)
    action = call["action"]
    named = action if action in METHODS else "StopLiveMPUTask"
    module = importlib.import_module(old_requests.__name__ + "." + named + "Request")
    request = getattr(module, named + "Request")()
    request.set_action_name(action)
    request.set_version(call.get("version", VERSION))
    # One of the actions insists on https.
    request.set_protocol_type("http")
    request.set_endpoint(host)
    request.set_read_timeout(call.get("timeoutMillis", 10_000) / 1000)
    for name, value in call["parameters"].items():
        getattr(request, "set_" + name)(value)
    return json.loads(client.do_action_with_exception(request))


def answer(call):
    pretend(call)
    try:
        return {"body": (older if call["client"] == "old-v1" else newer)(call)}
    except AlibabaCloudException as error:
        return {
            "error": {
                "code": error.code,
                "status": error.status_code,
                "message": error.message,
                "requestId": error.request_id,
                "retryAfter": getattr(error, "retry_after", None),
            }
        }
    except ServerException as error:
        return {
            "error": {
                "code": error.get_error_code(),
                "status": error.get_http_status(),
                "message": error.get_error_msg(),
                "requestId": error.get_request_id(),
            }
        }
    except ClientException as error:
        return {"error": {"code": error.get_error_code(), "message": error.get_error_msg()}}
    except Exception as error:  # whatever a torn or foreign answer makes them raise
        return {"error": {"code": type(error).__name__, "message": str(error)}}


def main():
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
