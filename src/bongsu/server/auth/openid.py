"""OpenID Connect: the provider authenticates people; Bongsu decides what they may do.

Authorization code flow with PKCE and a nonce. The state between leaving for the provider and coming back is kept in an
encrypted cookie for ten minutes. An account is found by issuer and subject, the first time by a verified email
address. People without an account get one only if the settings say so, and an account that was created here is linked
only if they say so too. The provider never replaces a second factor that was set up here: such an account logs in with
its password and code.
"""

import json
import logging
import secrets
from dataclasses import replace
from typing import Any

import httpx
import jwt
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError
from bongsu.core.text import visible
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.directory import PEOPLE, Directory
from bongsu.server.auth.emails import normal_email
from bongsu.server.auth.oidc import COOKIE_SECONDS, OidcFailed, SecondFactorHere, local_path
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.config import Oidc
from bongsu.server.vault import Vault

logger = logging.getLogger(__name__)

PURPOSE = "openid login"
TIMEOUT_SECONDS = 10.0
ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"]


class OpenId:
    """One provider."""

    def __init__(self, settings: Oidc, vault: Vault, directory: Directory, clock: Clock) -> None:
        self._settings = settings
        self._vault = vault
        self._directory = directory
        self._clock = clock

    async def begin(self, callback: str, next_path: str) -> tuple[str, str]:
        """The provider's address to redirect to, and the value of the state cookie."""
        provider = await self._provider()
        verifier, state, nonce = (secrets.token_urlsafe(size) for size in (48, 24, 24))
        parameters = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": callback,
            "scope": self._settings.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        address = str(add_params_to_uri(provider["authorization_endpoint"], list(parameters.items())))
        login = {"state": state, "nonce": nonce, "verifier": verifier, "next": next_path, "ms": self._clock.now_ms()}
        return address, self._vault.encrypt(json.dumps(login).encode(), PURPOSE).decode()

    async def finish(self, callback: str, cookie: str, code: str, state: str, address: str) -> tuple[UserRecord, str]:
        """The user who came back from the provider, and the path they asked for.

        Raises:
            OidcFailed: for any reason; the log says which.
        """
        try:
            login = json.loads(self._vault.decrypt(cookie.encode(), PURPOSE))
            late = self._clock.now_ms() - login["ms"] > COOKIE_SECONDS * 1000
            if late or not code or not secrets.compare_digest(str(login["state"]), state):
                raise OidcFailed("the answer does not match a login that began here")
            provider = await self._provider()
            token = await self._token(provider, callback, code, login["verifier"])
            claims = await self._claims(provider, str(token["id_token"]), login["nonce"])
            if "email" not in claims and "userinfo_endpoint" in provider:
                claims = await self._with_userinfo(provider, str(token["access_token"]), claims)
            return await self._user(claims, address), local_path(login["next"])
        except OidcFailed as error:
            logger.warning("OpenID login refused: %s", error.message)
            raise
        except (BongsuError, httpx.HTTPError, jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
            logger.warning("OpenID login failed: %s", type(error).__name__)
            raise OidcFailed from None

    async def _token(self, provider: dict[str, Any], callback: str, code: str, verifier: str) -> dict[str, Any]:
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "code_verifier": verifier,
        }
        login = (self._settings.client_id, self._settings.client_secret)
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            answer = await client.post(provider["token_endpoint"], data=parameters, auth=login)
            token: dict[str, Any] = answer.raise_for_status().json()
        return token

    async def _with_userinfo(
        self, provider: dict[str, Any], access_token: str, claims: dict[str, Any]
    ) -> dict[str, Any]:
        """The claims with those of the userinfo endpoint, which the provider leaves out of the ID token."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            headers = {"Authorization": f"Bearer {access_token}"}
            more = (await client.get(provider["userinfo_endpoint"], headers=headers)).raise_for_status().json()
        if more.get("sub") != claims["sub"]:
            raise OidcFailed("the userinfo is about another subject")
        return {**more, **claims}

    async def _provider(self) -> dict[str, Any]:
        issuer = self._settings.issuer.rstrip("/")
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
                answer = await client.get(f"{issuer}/.well-known/openid-configuration")
                provider: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            logger.warning("the OpenID provider %s does not answer: %s", issuer, type(error).__name__)
            raise OidcFailed("The OpenID provider does not answer.") from None
        if str(provider.get("issuer", "")).rstrip("/") != issuer:
            raise OidcFailed("the provider's issuer differs from the settings")
        return provider

    async def _claims(self, provider: dict[str, Any], id_token: str, nonce: str) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            keys = jwt.PyJWKSet.from_dict((await client.get(provider["jwks_uri"])).raise_for_status().json())
        header = jwt.get_unverified_header(id_token)
        usable = [key for key in keys.keys if header.get("kid") in (None, key.key_id)]
        if not usable:
            raise OidcFailed("the ID token is signed with a key that the provider does not publish")
        claims: dict[str, Any] = jwt.decode(
            id_token,
            usable[0],
            ALGORITHMS,
            audience=self._settings.client_id,
            issuer=provider["issuer"],
            leeway=60,
            options={"require": ["exp", "sub"]},
        )
        if not secrets.compare_digest(str(claims.get("nonce", "")), nonce):
            raise OidcFailed("the nonce of the ID token does not match")
        return claims

    async def _user(self, claims: dict[str, Any], address: str) -> UserRecord:
        subject = f"{self._settings.issuer.rstrip('/')} {claims['sub']}"[:512]
        known = next((user for user in self._directory.users.values() if user.oidc_subject == subject), None)
        if known is None:
            known = await self._link(claims, subject, address)
        if known.disabled:
            raise OidcFailed(f"{known.email} is disabled")
        if known.totp_enabled:
            raise SecondFactorHere(f"{known.email} has a second factor, which the provider does not replace")
        return known

    async def _link(self, claims: dict[str, Any], subject: str, address: str) -> UserRecord:
        if claims.get("email_verified") is not True:
            raise OidcFailed("the provider does not call the email address verified")
        email, now_ms = normal_email(str(claims.get("email", ""))), self._clock.now_ms()
        name = visible(str(claims.get("name") or email.partition("@")[0]))[:100]
        new = UserRecord(0, email, name, self._settings.role, now_ms, oidc_subject=subject)

        def store(connection: Connection) -> UserRecord | None:
            user = accounts.user_by_email(connection, email)
            actor = Actor("system", "openid", address)
            if user is not None:
                if user.oidc_subject is not None or not self._settings.link_accounts:
                    return None
                if user.totp_enabled:
                    return user  # refused by the caller, and not linked
                accounts.update_user(connection, user.id, oidc_subject=subject)
                record(connection, now_ms, actor, "user.update", f"user {user.id}", after={"openid": subject})
                return replace(user, oidc_subject=subject)
            if not self._settings.create_users:
                return None
            user = accounts.add_user(connection, new)
            if user is not None:
                after = {"email": email, "role": user.role, "openid": subject}
                record(connection, now_ms, actor, "user.create", f"user {user.id}", after=after)
            return user

        user = await self._directory.change(PEOPLE, store)
        if user is None:
            raise OidcFailed(
                f"there is no account that {email} may use; oidc.create_users and oidc.link_accounts allow more"
            )
        return user
