"""``bongsu user`` and ``bongsu auth``: manage people and keys without a browser, with or without a running API server.

Passwords are entered on the terminal, or read from standard input or BONGSU_PASSWORD, never from the command line,
which ``ps`` shows to everybody. A running API server notices a change within a second.
"""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError, Conflict, NotFound
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.directory import KEYS, PEOPLE, rotate
from bongsu.server.auth.emails import normal_email
from bongsu.server.auth.passwords import Passwords
from bongsu.server.auth.principal import Role
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.commands.transaction import in_transaction
from bongsu.server.config import Settings, load_settings
from bongsu.server.database.revisions import bump_revision
from bongsu.server.vault import open_vault

T = TypeVar("T")

ACTOR = Actor("system", "command line")


def main(argv: Sequence[str], program: str = "user") -> int:
    """Returns the exit status."""
    options = (_user_parser() if program == "user" else _auth_parser()).parse_args(list(argv))
    try:
        settings = load_settings(options.config, data_dir=options.data_dir)
        options.run(settings, options)
    except BongsuError as error:
        print(f"bongsu {program}: {error.message}", file=sys.stderr)
        return 2
    return 0


def auth_main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    return main(argv, "auth")


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    common.add_argument("--data-dir", type=Path, metavar="DIR", help="directory of the database and keys")
    return common


def _user_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu user", description="Manage the people who may log in.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common()

    def add(name: str, run: Callable[[Settings, argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=text)
        command.set_defaults(run=run)
        return command

    create = add("create", _create, "create a user; asks for the password")
    create.add_argument("email")
    create.add_argument("--name", default="")
    create.add_argument("--role", choices=[role.value for role in Role], default=Role.viewer.value)
    add("list", _list, "list all users")
    text = "set a new password; ends all sessions of the user and revokes their API tokens"
    password = add("password", _password, text)
    password.add_argument("email")
    password.add_argument("--keep-api-tokens", action="store_true", help="do not revoke the API tokens")
    role = add("role", _role, "change the role of a user")
    role.add_argument("email")
    role.add_argument("role", choices=[role.value for role in Role])
    add("disable", _disable, "prevent a user from logging in").add_argument("email")
    add("enable", _enable, "let a disabled user log in again").add_argument("email")
    add("delete", _delete, "delete a user").add_argument("email")
    text = "turn off the second factor, for users who have lost their phone"
    add("reset-second-factor", _reset_second_factor, text).add_argument("email")
    return parser


def _auth_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu auth", description="Manage the keys that sign logins.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "rotate-keys", parents=[_common()], help="sign access tokens with a new key from now on"
    )
    command.add_argument("--at-once", action="store_true", help="stop accepting tokens signed with older keys")
    command.set_defaults(run=_rotate_keys)
    return parser


def _run(settings: Settings, function: Callable[[Connection], T], part: str = PEOPLE) -> T:
    """Runs ``function`` in a transaction and notifies running API servers."""

    def change(connection: Connection) -> T:
        result = function(connection)
        bump_revision(connection, part)
        return result

    return in_transaction(settings, change)


def _new_password(settings: Settings, email: str) -> str:
    """Asks for a new password. Returns its hash."""
    password = os.environ.get("BONGSU_PASSWORD", "")
    if not password and sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Conflict("The two passwords differ.")
    elif not password:
        password = sys.stdin.readline().rstrip("\r\n")
    passwords = Passwords(settings.password_hashing)
    try:
        passwords.check(password, email=email)
        return asyncio.run(passwords.hash(password))
    finally:
        passwords.close()


def _user(connection: Connection, email: str) -> UserRecord:
    user = accounts.user_by_email(connection, normal_email(email))
    if user is None:
        raise NotFound(f"There is no user with the address {email}.")
    return user


def _create(settings: Settings, options: argparse.Namespace) -> None:
    email = normal_email(options.email)
    hashed = _new_password(settings, email)
    now_ms = SystemClock().now_ms()
    name = options.name or email.partition("@")[0]
    new_user = UserRecord(0, email, name, options.role, now_ms, password_hash=hashed)

    def store(connection: Connection) -> UserRecord | None:
        user = accounts.add_user(connection, new_user)
        if user is not None:
            after = {"email": email, "role": user.role}
            record(connection, now_ms, ACTOR, "user.create", f"user {user.id}", after=after)
        return user

    if _run(settings, store) is None:
        raise Conflict(f"There is already a user with the address {email}.")
    print(f"Created {email} with the role {options.role}.")


def _list(settings: Settings, options: argparse.Namespace) -> None:
    for user in _run(settings, accounts.load_users):
        marks = (("disabled", user.disabled), ("second factor", user.totp_enabled))
        notes = [mark for mark, applies in marks if applies]
        print(f"{user.email:40} {user.role:9} {user.name}{'  (' + ', '.join(notes) + ')' if notes else ''}")


def _change(
    settings: Settings,
    email: str,
    told: dict[str, object],
    *,
    ends: bool = False,
    revokes: bool = False,
    **values: object,
) -> None:
    """``ends``: ends all sessions. ``revokes``: revokes all API tokens."""
    now_ms = SystemClock().now_ms()

    def store(connection: Connection) -> None:
        user = _user(connection, email)
        accounts.update_user(connection, user.id, new_version=ends, **values)
        if ends:
            accounts.end_sessions(connection, user.id)
        revoked = {"revoked_api_tokens": accounts.revoke_api_tokens(connection, user.id)} if revokes else {}
        if not accounts.count_admins(connection):
            raise Conflict("There must be at least one admin who can log in.")
        record(connection, now_ms, ACTOR, "user.update", f"user {user.id}", after=told | revoked)

    _run(settings, store)
    print(f"Changed {normal_email(email)}.")


def _password(settings: Settings, options: argparse.Namespace) -> None:
    hashed = _new_password(settings, normal_email(options.email))
    _change(
        settings,
        options.email,
        {"password": "changed"},
        ends=True,
        revokes=not options.keep_api_tokens,
        password_hash=hashed,
    )


def _role(settings: Settings, options: argparse.Namespace) -> None:
    _change(settings, options.email, {"role": options.role}, role=options.role)


def _disable(settings: Settings, options: argparse.Namespace) -> None:
    _change(settings, options.email, {"disabled": True}, ends=True, disabled=True)


def _enable(settings: Settings, options: argparse.Namespace) -> None:
    _change(settings, options.email, {"disabled": False}, disabled=False)


def _reset_second_factor(settings: Settings, options: argparse.Namespace) -> None:
    _change(settings, options.email, {"second_factor": False}, totp_enabled=False, totp_secret=None)


def _delete(settings: Settings, options: argparse.Namespace) -> None:
    now_ms = SystemClock().now_ms()

    def store(connection: Connection) -> None:
        user = _user(connection, options.email)
        accounts.delete_user(connection, user.id)
        if not accounts.count_admins(connection):
            raise Conflict("There must be at least one admin who can log in.")
        before = {"email": user.email, "role": user.role}
        record(connection, now_ms, ACTOR, "user.delete", f"user {user.id}", before=before)

    _run(settings, store)
    print(f"Deleted {options.email}.")


def _rotate_keys(settings: Settings, options: argparse.Namespace) -> None:
    vault = open_vault(settings.data_dir, settings.secret_key)

    def store(connection: Connection) -> str:
        key = rotate(connection, vault, SystemClock(), at_once=options.at_once)
        record(connection, SystemClock().now_ms(), ACTOR, "auth.rotate_keys", f"key {key}")
        return key

    print(f"Access tokens are now signed with the new key {_run(settings, store, KEYS)}.")
