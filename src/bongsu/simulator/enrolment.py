"""Lets simulated servers in: each exchanges the enrolment token for a token of its own.

One at a time, because the API server limits how often an address may try. While it asks to wait, servers that are
enrolled already send.
"""

import asyncio
import random
import uuid

from bongsu.core.errors import BongsuError
from bongsu.core.pacing import retry_seconds
from bongsu.simulator.api import Api
from bongsu.simulator.token_file import Credential, TokenFile
from bongsu.wire.enrolment import reason_in_response, token_in_response
from bongsu.wire.outcome import explain, is_temporary


class EnrolmentRefused(BongsuError):
    """The API server does not take the enrolment token."""


class Enrolment:
    """``waiting``: why enrolment does not go on at the moment; empty if it does."""

    def __init__(self, api: Api, tokens: TokenFile, enrolment_token: str) -> None:
        self._api = api
        self._tokens = tokens
        self._enrolment_token = enrolment_token
        self._one_at_a_time = asyncio.Lock()
        self.waiting = ""

    async def credential(self, index: int, name: str) -> Credential:
        """The credential of a server: the one that is stored, or a new one.

        Raises:
            EnrolmentRefused: why there is none.
        """
        return self._tokens.get(index) or await self._enrol(index, name, "")

    async def renew(self, index: int, name: str, refused: Credential) -> Credential:
        """A new token for an agent whose token is not valid (any more).

        Raises:
            EnrolmentRefused: why there is none.
        """
        stored = self._tokens.get(index)
        if stored is not None and stored != refused:
            return stored
        return await self._enrol(index, name, refused.agent_id)

    async def _enrol(self, index: int, name: str, agent_id: str) -> Credential:
        if not self._enrolment_token:
            raise EnrolmentRefused("no enrolment token was given")
        failures = 0
        async with self._one_at_a_time:
            while True:
                # A new id for each try of a new server: if only the answer was lost, the old id is taken.
                credential_id = agent_id or str(uuid.uuid4())
                retry_after: float | None = None
                try:
                    response = await self._api.enrol(self._enrolment_token, credential_id, name)
                except OSError as error:
                    self.waiting = explain(error)
                else:
                    token = token_in_response(response.body) if response.status == 200 else ""
                    if token:
                        self.waiting = ""
                        credential = Credential(credential_id, token)
                        self._tokens.store(index, credential)
                        return credential
                    reason = reason_in_response(response.body)
                    if not is_temporary(response.status):
                        raise EnrolmentRefused(
                            reason or f"HTTP status {response.status}, but not from a Bongsu API server"
                        )
                    self.waiting = reason or f"HTTP status {response.status}"
                    after = response.headers.get("retry-after", "")
                    retry_after = float(after) if after.isdecimal() else None
                failures += 1
                await asyncio.sleep(retry_seconds(failures, random.random(), retry_after))  # noqa: S311
