"""Who may do what: operators, their sessions, devices, and the audit of what was done.

Keeps hashes only: passwords arrive hashed (argon2, made by the caller, who has
threads for it), tokens as their SHA-256. Knows no token and no password.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.schema import audit_log, devices, operator_sessions, operators, without_nul

MAX_LISTED: Final = 500
MAX_SESSIONS_PER_OPERATOR: Final = 20
"""Open sessions of one operator; a new one ends the oldest beyond."""


class NameTaken(Exception):
    """Another operator has this name, capitals aside."""


class Operator(Struct, frozen=True):
    """A person who logs in. `roles` are the caller's words."""

    id: int
    organiser: int
    name: str
    roles: tuple[str, ...]
    language: str
    active: bool


class Device(Struct, frozen=True):
    """A machine at a door. Empty `performances`: any. `revoked_ms` is None while it may work.

    `seen_ms` is None for one that was never there; `kept_scans` is what it said then that it had
    not sent yet.
    """

    id: int
    organiser: int
    name: str
    gate: str
    performances: tuple[int, ...]
    created_ms: int
    revoked_ms: int | None
    seen_ms: int | None = None
    kept_scans: int = 0


class AuditEntry(Struct, frozen=True):
    id: int
    at_ms: int
    who: str
    act: str
    subject: str
    detail: dict[str, Any]


class Access:
    """Every method is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # Operators ------------------------------------------------------------------

    async def create_operator(
        self,
        organiser: int,
        *,
        name: str,
        password_hash: str,
        roles: tuple[str, ...],
        language: str,
        now_ms: int,
    ) -> Operator:
        """Raises NameTaken; disabled operators keep their names."""
        try:
            async with self._engine.begin() as connection:
                row = (
                    await connection.execute(
                        operators.insert()
                        .values(
                            organiser=organiser,
                            name=name,
                            name_key=_key(name),
                            password_hash=password_hash,
                            roles=list(roles),
                            language=language,
                            active=True,
                            created_ms=now_ms,
                        )
                        .returning(*_OPERATOR)
                    )
                ).one()
        except IntegrityError as error:
            if "uq_operators_name_key" in str(error.orig):
                raise NameTaken(name) from error
            raise
        return _operator(row)

    async def operator_by_name(self, name: str) -> tuple[Operator, str] | None:
        """An active operator and the password's hash. Capitals do not matter."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    sa.select(*_OPERATOR, operators.c.password_hash).where(
                        operators.c.name_key == _key(name), operators.c.active
                    )
                )
            ).one_or_none()
        return None if row is None else (_operator(row), row.password_hash)

    async def list_operators(self) -> list[Operator]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(*_OPERATOR).order_by(operators.c.id).limit(MAX_LISTED)
            )
            return [_operator(row) for row in rows]

    async def disable_operator(self, operator: int) -> bool:
        """Ends the operator's sessions too. False when there is no such active operator."""
        async with self._engine.begin() as connection:
            disabled = await connection.execute(
                operators.update()
                .where(operators.c.id == operator, operators.c.active)
                .values(active=False)
            )
            await connection.execute(
                operator_sessions.delete().where(operator_sessions.c.operator == operator)
            )
            return disabled.rowcount == 1

    # Sessions -------------------------------------------------------------------

    async def open_session(
        self, operator: int, *, token_hash: bytes, expires_ms: int, now_ms: int
    ) -> None:
        """Also forgets sessions that are over, and the oldest beyond the bound."""
        kept = (
            sa.select(operator_sessions.c.token_hash)
            .where(operator_sessions.c.operator == operator)
            .order_by(operator_sessions.c.created_ms.desc())
            .limit(MAX_SESSIONS_PER_OPERATOR - 1)
        )
        async with self._engine.begin() as connection:
            await connection.execute(
                operator_sessions.delete().where(operator_sessions.c.expires_ms <= now_ms)
            )
            await connection.execute(
                operator_sessions.delete().where(
                    operator_sessions.c.operator == operator,
                    operator_sessions.c.token_hash.not_in(kept),
                )
            )
            await connection.execute(
                operator_sessions.insert().values(
                    token_hash=token_hash,
                    operator=operator,
                    created_ms=now_ms,
                    expires_ms=expires_ms,
                )
            )

    async def find_session(self, token_hash: bytes, now_ms: int) -> tuple[Operator, int] | None:
        """The active operator of a session that is not over, and when it ends."""
        query = (
            sa.select(*_OPERATOR, operator_sessions.c.expires_ms)
            .join_from(operator_sessions, operators)
            .where(
                operator_sessions.c.token_hash == token_hash,
                operator_sessions.c.expires_ms > now_ms,
                operators.c.active,
            )
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else (_operator(row), row.expires_ms)

    async def end_session(self, token_hash: bytes) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                operator_sessions.delete().where(operator_sessions.c.token_hash == token_hash)
            )

    # Devices --------------------------------------------------------------------

    async def create_device(
        self,
        organiser: int,
        *,
        name: str,
        token_hash: bytes,
        gate: str,
        performances: tuple[int, ...] = (),
        now_ms: int,
        enrolment_hash: bytes | None = None,
        enrolment_expires_ms: int | None = None,
    ) -> Device:
        async with self._engine.begin() as connection:
            row = (
                await connection.execute(
                    devices.insert()
                    .values(
                        organiser=organiser,
                        name=name,
                        token_hash=token_hash,
                        gate=gate,
                        performances=list(performances),
                        created_ms=now_ms,
                        enrolment_hash=enrolment_hash,
                        enrolment_expires_ms=enrolment_expires_ms,
                    )
                    .returning(*_DEVICE)
                )
            ).one()
        return _device(row)

    async def find_device(self, token_hash: bytes) -> Device | None:
        """The device with this token, unless it is revoked."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    sa.select(*_DEVICE).where(
                        devices.c.token_hash == token_hash, devices.c.revoked_ms.is_(None)
                    )
                )
            ).one_or_none()
        return None if row is None else _device(row)

    async def offer_enrolment(
        self, device: int, *, enrolment_hash: bytes, expires_ms: int
    ) -> Device | None:
        """Let it enrol once until then, instead of by any code before; None: none such works."""
        query = (
            devices.update()
            .where(devices.c.id == device, devices.c.revoked_ms.is_(None))
            .values(enrolment_hash=enrolment_hash, enrolment_expires_ms=expires_ms)
            .returning(*_DEVICE)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _device(row)

    async def enrol_device(
        self, enrolment_hash: bytes, *, token_hash: bytes, now_ms: int
    ) -> Device | None:
        """Use an enrolment up: the token replaces the device's. None when it is not good now.

        Of two who try at once one succeeds: the row is locked, and the second finds no such
        enrolment on it.
        """
        query = (
            devices.update()
            .where(
                devices.c.enrolment_hash == enrolment_hash,
                devices.c.enrolment_expires_ms > now_ms,
                devices.c.revoked_ms.is_(None),
            )
            .values(
                token_hash=token_hash,
                enrolment_hash=None,
                enrolment_expires_ms=None,
                seen_ms=now_ms,
            )
            .returning(*_DEVICE)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _device(row)

    async def device_seen(self, token_hash: bytes, *, now_ms: int, kept_scans: int | None) -> None:
        """It spoke to us; `kept_scans` where it said how many it has not sent yet."""
        values: dict[str, int] = {"seen_ms": now_ms}
        if kept_scans is not None:
            values["kept_scans"] = kept_scans
        async with self._engine.begin() as connection:
            await connection.execute(
                devices.update().where(devices.c.token_hash == token_hash).values(values)
            )

    async def list_devices(self) -> list[Device]:
        """Revoked ones too, newest first."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(*_DEVICE).order_by(devices.c.id.desc()).limit(MAX_LISTED)
            )
            return [_device(row) for row in rows]

    async def revoke_device(self, device: int, now_ms: int) -> bool:
        """False when there is no such device, or it was revoked before."""
        async with self._engine.begin() as connection:
            revoked = await connection.execute(
                devices.update()
                .where(devices.c.id == device, devices.c.revoked_ms.is_(None))
                .values(revoked_ms=now_ms)
            )
            return revoked.rowcount == 1

    # Audit ----------------------------------------------------------------------

    async def audit(self, acts: Sequence[Mapping[str, Any]]) -> None:
        """Write down who did what to which subject, all of it or nothing."""
        async with self._engine.begin() as connection:
            await connection.execute(
                _AUDIT,
                {
                    "at_ms": [act["at_ms"] for act in acts],
                    **{
                        name: [without_nul(act[name]) for act in acts]
                        for name in ("who", "act", "subject")
                    },
                    "detail": [
                        msgspec.json.encode(without_nul(act["detail"])).decode() for act in acts
                    ],
                },
            )

    async def list_audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Newest first. `before` is the id of the last entry of the page before."""
        query = sa.select(*[audit_log.c[name] for name in AuditEntry.__struct_fields__])
        if before is not None:
            query = query.where(audit_log.c.id < before)
        query = query.order_by(audit_log.c.id.desc()).limit(min(limit, MAX_LISTED))
        async with self._engine.connect() as connection:
            return [AuditEntry(*row) for row in await connection.execute(query)]


_OPERATOR: Final = [operators.c[name] for name in Operator.__struct_fields__]
_DEVICE: Final = [devices.c[name] for name in Device.__struct_fields__]


def _key(name: str) -> str:
    """A name without its capitals. Not made by SQL: what `lower` knows depends on the server."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


_AUDIT: Final = sa.text("""
INSERT INTO audit_log (at_ms, who, act, subject, detail)
SELECT at_ms, who, act, subject, CAST(detail AS jsonb)
FROM unnest(CAST(:at_ms AS int8[]), CAST(:who AS text[]), CAST(:act AS text[]),
    CAST(:subject AS text[]), CAST(:detail AS text[]))
    AS act (at_ms, who, act, subject, detail)
""")


def _operator(row: sa.Row[*tuple[Any, ...]]) -> Operator:
    return Operator(
        id=row.id,
        organiser=row.organiser,
        name=row.name,
        roles=tuple(row.roles),
        language=row.language,
        active=row.active,
    )


def _device(row: sa.Row[*tuple[Any, ...]]) -> Device:
    return Device(
        id=row.id,
        organiser=row.organiser,
        name=row.name,
        gate=row.gate,
        performances=tuple(row.performances),
        created_ms=row.created_ms,
        revoked_ms=row.revoked_ms,
        seen_ms=row.seen_ms,
        kept_scans=row.kept_scans,
    )
