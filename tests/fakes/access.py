"""Operators, sessions, devices and the audit log in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.backend import BackendUnavailable


class NameTaken(Exception):
    pass


class Operator(Struct, frozen=True):
    id: int
    organiser: int
    name: str
    roles: tuple[str, ...]
    language: str
    active: bool


class Device(Struct, frozen=True):
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


class FakeAccess:
    """Implements `gateway.backend.Access`. While `down` is set, every call fails."""

    def __init__(self) -> None:
        self.operators: list[Operator] = []
        self.hashes: dict[int, str] = {}
        self.sessions: dict[bytes, tuple[int, int]] = {}
        self.devices: dict[bytes, Device] = {}
        self.enrolments: dict[bytes, tuple[int, int]] = {}
        self.entries: list[AuditEntry] = []
        self.down = False
        self.look_ups = 0

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
        self._reach()
        if any(one.name.lower() == name.lower() for one in self.operators):
            raise NameTaken(name)
        operator = Operator(len(self.operators) + 1, organiser, name, roles, language, True)
        self.operators.append(operator)
        self.hashes[operator.id] = password_hash
        return operator

    async def operator_by_name(self, name: str) -> tuple[Operator, str] | None:
        self._reach()
        for one in self.operators:
            if one.active and one.name.lower() == name.lower():
                return one, self.hashes[one.id]
        return None

    async def list_operators(self) -> list[Operator]:
        self._reach()
        return list(self.operators)

    async def disable_operator(self, operator: int) -> bool:
        self._reach()
        self.sessions = {key: it for key, it in self.sessions.items() if it[0] != operator}
        for place, one in enumerate(self.operators):
            if one.id == operator and one.active:
                self.operators[place] = replace(one, active=False)
                return True
        return False

    async def open_session(
        self, operator: int, *, token_hash: bytes, expires_ms: int, now_ms: int
    ) -> None:
        self._reach()
        self.sessions[token_hash] = (operator, expires_ms)

    async def find_session(self, token_hash: bytes, now_ms: int) -> tuple[Operator, int] | None:
        self._reach()
        self.look_ups += 1
        number, expires_ms = self.sessions.get(token_hash, (0, 0))
        if now_ms >= expires_ms:
            return None
        return next((one, expires_ms) for one in self.operators if one.id == number)

    async def end_session(self, token_hash: bytes) -> None:
        self._reach()
        self.sessions.pop(token_hash, None)

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
        self._reach()
        device = Device(len(self.devices) + 1, organiser, name, gate, performances, now_ms, None)
        self.devices[token_hash] = device
        if enrolment_hash is not None and enrolment_expires_ms is not None:
            self.enrolments[enrolment_hash] = (device.id, enrolment_expires_ms)
        return device

    async def offer_enrolment(
        self, device: int, *, enrolment_hash: bytes, expires_ms: int
    ) -> Device | None:
        self._reach()
        for one in self.devices.values():
            if one.id == device and one.revoked_ms is None:
                self._forget_enrolment(device)
                self.enrolments[enrolment_hash] = (device, expires_ms)
                return one
        return None

    async def enrol_device(
        self, enrolment_hash: bytes, *, token_hash: bytes, now_ms: int
    ) -> Device | None:
        self._reach()
        number, expires_ms = self.enrolments.get(enrolment_hash, (0, 0))
        if now_ms >= expires_ms:
            return None
        for key, one in list(self.devices.items()):
            if one.id == number and one.revoked_ms is None:
                self._forget_enrolment(number)
                del self.devices[key]
                self.devices[token_hash] = replace(one, seen_ms=now_ms)
                return one
        return None

    def _forget_enrolment(self, device: int) -> None:
        self.enrolments = {key: it for key, it in self.enrolments.items() if it[0] != device}

    async def device_seen(self, token_hash: bytes, *, now_ms: int, kept_scans: int | None) -> None:
        self._reach()
        if token_hash in self.devices:
            changes = {"seen_ms": now_ms} | (
                {} if kept_scans is None else {"kept_scans": kept_scans}
            )
            self.devices[token_hash] = replace(self.devices[token_hash], **changes)

    async def find_device(self, token_hash: bytes) -> Device | None:
        self._reach()
        device = self.devices.get(token_hash)
        return None if device is None or device.revoked_ms is not None else device

    async def list_devices(self) -> list[Device]:
        self._reach()
        return list(self.devices.values())[::-1]

    async def revoke_device(self, device: int, now_ms: int) -> bool:
        self._reach()
        for key, one in self.devices.items():
            if one.id == device and one.revoked_ms is None:
                self.devices[key] = replace(one, revoked_ms=now_ms)
                return True
        return False

    async def audit(self, acts: Sequence[Mapping[str, Any]]) -> None:
        self._reach()
        for act in acts:
            self.entries.append(AuditEntry(id=len(self.entries) + 1, **act))

    async def list_audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        self._reach()
        found = [one for one in self.entries[::-1] if before is None or one.id < before]
        return found[:limit]

    def _reach(self) -> None:
        if self.down:
            raise BackendUnavailable("the database is down")
