"""Requests to the API server of a Kubernetes cluster, by the official client.

Bodies are plain JSON. The client's typed models are left aside: they write the times of a Lease
without microseconds now and then, which the server refuses, and check answers against one version
of Kubernetes. What is used is how the client finds a cluster, its TLS and its tokens.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from kiosk.errors import (
    InvalidRequest,
    KioskError,
    NotFound,
    Outage,
    PermanentError,
    PermissionDenied,
    WrongState,
)

CLUSTER_AWAY = "CLUSTER_AWAY"
MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod reads in which namespace it is."""


class KubernetesApi:
    """One connection to an API server; to be closed.

    Args:
        client: `kubernetes.aio.client.ApiClient`.
        answer_s: longest wait for an answer.
    """

    def __init__(self, client: Any, answer_s: float) -> None:
        self._client = client
        self._answer_s = answer_s

    async def close(self) -> None:
        await self._client.close()

    async def ask(
        self, method: str, path: str, body: Any = None, content_type: str = JSON
    ) -> dict[str, Any]:
        """Send a request and return the object that is answered.

        Raises:
            NotFound, PermissionDenied, InvalidRequest: as the server says.
            WrongState: the object has changed meanwhile, or exists already.
            Outage: no answer, or the server is out of order or too busy.
        """
        try:
            async with asyncio.timeout(self._answer_s):
                status, data = await self._send(method, path, body, content_type)
        except TimeoutError as error:
            raise Outage("The API server did not answer in time.", reason=CLUSTER_AWAY) from error
        except (aiohttp.ClientError, OSError) as error:
            sentence = f"The API server cannot be reached: {error}."
            raise Outage(sentence, reason=CLUSTER_AWAY) from error
        if 200 <= status < 300:
            return _parsed(data)
        raise _error_of(status, f"{method} {path}", _message(data))

    async def _send(
        self, method: str, path: str, body: Any, content_type: str
    ) -> tuple[int, bytes]:
        request = await self._client.param_serialize(
            method,
            path,
            header_params={"Content-Type": content_type, "Accept": JSON},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(
            *request, _request_timeout=aiohttp.ClientTimeout(total=self._answer_s)
        )
        return response.status, await response.read()


async def connect(kubeconfig: Path | None, answer_s: float) -> KubernetesApi:
    """By the file, the pod's service account, or the file that kubectl uses, whichever there is.

    Raises PermanentError with a sentence when there is none, or no client is installed.
    """
    try:
        from kubernetes.aio import client, config
    except ImportError as error:
        raise PermanentError(
            "The autoscaler needs the Kubernetes client: pip install 'cell-kiosk[cluster]'."
        ) from error
    configuration = client.Configuration()
    try:
        await _configure(config, configuration, kubeconfig)
    except (config.ConfigException, OSError) as error:
        raise PermanentError(
            f"No cluster is known here ({error}). Run it in a pod with a service account, or name a"
            " kubeconfig in KIOSK_AUTOSCALER__KUBECONFIG."
        ) from error
    return KubernetesApi(client.ApiClient(configuration), answer_s)


async def _configure(config: Any, configuration: Any, kubeconfig: Path | None) -> None:
    if kubeconfig is None:
        try:
            config.load_incluster_config(configuration)
            return
        except config.ConfigException:
            pass
    await config.load_kube_config(
        config_file=None if kubeconfig is None else str(kubeconfig),
        client_configuration=configuration,
        persist_config=False,
    )


def own_namespace() -> str:
    """The namespace of this pod; "default" outside of one."""
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError as error:
        sentence = "What answers there is no API server: it sends no JSON."
        raise Outage(sentence, reason=CLUSTER_AWAY) from error
    if not isinstance(answer, dict):
        raise Outage("The API server sent no object.", reason=CLUSTER_AWAY)
    return answer


def _message(data: bytes) -> str:
    """What the server says of an error; a proxy may have sent anything."""
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data[:200].decode(errors="replace")


def _error_of(status: int, request: str, message: str) -> KioskError:
    told = f"{request} was answered {status}: {message}"
    if status in (401, 403):
        return PermissionDenied(
            f"{told} The autoscaler's service account lacks this right; see the Role in deploy/."
        )
    if status == 404:
        return NotFound(f"{told} Look at the names in KIOSK_AUTOSCALER__... and the namespace.")
    if status == 409:
        return WrongState(told)
    if status == 429 or status >= 500 or status == 410:
        return Outage(f"The API server is out of order or busy. {told}", reason=CLUSTER_AWAY)
    return InvalidRequest(told)
