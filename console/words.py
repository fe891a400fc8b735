"""Failures and refusals as sentences: what happened, to which thing, what to do next."""

from console.client import BadAddress, ClientError, Problem, Unreachable
from console.link import NotServed
from console.till import NotSaved
from engine.commands import Refusal, Refused
from engine.orders import DeskRefusal
from renderers.i18n import Translator


def refusal_words(t: Translator, code: str, detail: str = "") -> str:
    """A refusal in words. A code that this console is too old to know is shown as it is."""
    key = f"refusal.{code}"
    if code == Refusal.QUOTA_FULL and detail:
        quota, _, left = detail.rpartition(": ")
        return t(f"{key}.left", quota=quota, left=left.partition(" ")[0])
    if code == DeskRefusal.PAYMENT_REFUSED and detail:
        why = f"reader.why.{detail}"
        return t(why) if why in t else t("reader.why.other", why=detail)
    if key in t:
        return t(key)
    return t("console.error.unknown_code", code=code, detail=detail or code)


def outcome_words(t: Translator, refused: Refused) -> str:
    return refusal_words(t, refused.code.value, refused.detail)


def error_words(t: Translator, error: ClientError | NotServed) -> str:
    """The failure of a request or a command."""
    if isinstance(error, Unreachable):
        return t("console.error.unreachable", server=error.server, reason=error.reason)
    if isinstance(error, NotSaved):
        return t("console.error.state", why=str(error))
    if isinstance(error, BadAddress):
        return t("console.error.address", server=str(error))
    if isinstance(error, Problem | NotServed):
        return refusal_words(t, error.code, error.detail)
    return str(error)
