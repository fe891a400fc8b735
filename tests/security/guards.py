"""Every guard switched off, one at a time: the test of its line in docs/security.md has to fail.

    python -m tests.security.guards [--only TEXT]

In a copy of the checkout a text that guards something is replaced by one that does not, and the
test that the page names for the threat is run. A guard that nobody misses is printed, and the
exit code is 1. Run before that with everything in place, all of these tests have to pass.

Owns the table; that it is complete, and that what it replaces is there, is a test
(test_security_page.py).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Literal, NamedTuple

ROOT: Final = Path(__file__).parents[2]
HANGS_S: Final = 60
"""A test that takes longer without its guard fails."""
Verdict = Literal["passed", "failed", "broken"]
"""Of pytest. Broken: nothing was tested, which is no sign that a guard is missed."""
PLUGINS: Final = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider")
"""All that is needed: loading the others takes longer than most of the tests."""
IGNORED: Final = shutil.ignore_patterns(".*", "__pycache__", "data", "*.egg-info")


class Guard(NamedTuple):
    """`test` fails where in `file`, instead of what `stands` there, something else does."""

    test: str
    file: str
    stands: str
    instead: str


_ENDPOINTS: Final = "tests/security/test_endpoints.py::"
_OBJECTS: Final = "tests/security/test_objects.py::"
_HIDDEN: Final = "tests/security/test_hidden.py::"
_SESSIONS: Final = "tests/security/test_sessions.py::"
_ADDRESSES: Final = "tests/security/test_addresses.py::"
_HTTP: Final = "tests/security/test_http.py::"
_INJECTION: Final = "tests/security/test_injection.py::"
_LETTERS: Final = "tests/gateway/test_letters.py::"
_LOGS: Final = "tests/security/test_logs.py::"
_DEVICES: Final = "tests/gateway/test_http_devices.py::"
_RELAY: Final = "tests/console/test_relay.py::"
_KEPT: Final = "tests/web/test_scan_kept.py::"
_SCAN: Final = "tests/web/test_scan.py::"
_SECRET: Final = "tests/renderers/test_secret.py::"

NOT_HERE: Final = {
    _HTTP + "test_an_ambiguous_request_ends_its_connection": "aiohttp's parser; the test beside it"
    " shows that what it hides would be served",
    _HTTP + "test_a_body_that_nobody_read_is_not_the_next_request": "aiohttp's, likewise",
    _DEVICES + "test_a_code_makes_a_device_once_and_replaces_its_token": "one statement of"
    " Postgres; tests/gateway/backend_contract.py asks the same of it",
    _DEVICES + "test_of_many_who_show_one_code_at_once_one_becomes_the_device": "the same",
    **dict.fromkeys(
        (
            _KEPT + "test_two_phones_that_were_alone_are_both_listed_and_the_earlier_has_won",
            _KEPT + "test_of_two_windows_one_has_the_doors",
            _KEPT + "test_a_browser_that_is_killed_loses_no_scan_and_tells_each_once",
            "tests/console/test_killed.py::"
            "test_a_relay_killed_in_the_middle_of_the_evening_loses_no_scan",
        ),
        "its control is beside it",
    ),
}
"""Guards that are not switched off here, and why."""

GUARDS: Final = (
    # Rights
    Guard(_ENDPOINTS + "test_who_may_use_a_route", "gateway/http.py",
          "if not principal.is_operator or (roles and not principal.has(*roles)):", "if False:"),
    Guard(_ENDPOINTS + "test_a_route_that_forgets_to_ask_who_is_there_is_found",
          "tests/security/test_endpoints.py",
          "and (route.method, route.resource.canonical) not in known", "and False"),
    Guard(_ENDPOINTS + "test_who_may_send_a_frame", "gateway/socket.py",
          "elif kind in self._allowed or kind is wire.Hello:", "elif True:"),
    Guard(_ENDPOINTS + "test_a_frame_before_hello_is_nobodys", "gateway/arrival.py",
          'self.refuse("hello_missing", "the first frame is hello")\n', "pass\n"),
    Guard(_OBJECTS + "test_the_refund_role_is_for_ones_own_sales", "gateway/http_operators.py",
          "if not await may_refund(edge, principal, order):", "if False:"),
    Guard(_OBJECTS + "test_the_refund_role_is_for_sales_of_ones_till_too",
          "gateway/http_orders.py", "return till_key(mine.till) in there", "return True"),
    Guard(_OBJECTS + "test_a_sale_is_undone_by_whoever_made_it_and_not_once_it_is_on_paper",
          "gateway/http_operators.py",
          "if not principal.has(Role.ADMIN) and order.operator != principal.who:", "if False:"),
    Guard(_SESSIONS + "test_a_revoked_token_ends_its_connections_at_once", "gateway/hub.py",
          "if connection.principal in gone:", "if False:"),
    Guard(_OBJECTS + "test_a_device_serves_its_own_performances_and_gate", "gateway/socket.py",
          "if self.principal.may_serve(performance):", "if True:"),
    Guard(_DEVICES + "test_a_device_is_told_what_it_must_know_to_be_alone",
          "gateway/http_devices.py", "    if not principal.has(*_AT_DOORS):\n",
          "    if False:\n"),
    Guard(_DEVICES + "test_who_guesses_codes_waits", "gateway/http_devices.py",
          "edge.enrolments.failed(key, now_s)", "pass"),
    Guard(_DEVICES + "test_a_code_is_good_for_its_time_only_and_a_later_one_replaces_it",
          "gateway/http_devices.py", "edge.backend.access.revoke_device(number, now_ms())",
          "edge.backend.access.list_devices()"),
    Guard(_RELAY + "test_nobody_asks_the_house_with_the_relays_own_token", "console/relay.py",
          r"{performance:\d{1,9}}", "{performance}"),
    # Things of others
    Guard(_OBJECTS + "test_an_orders_id_is_its_only_key_and_is_told_to_nobody_else",
          "gateway/http_operators.py", 'if seller or name != "order"', "if True"),
    Guard(_OBJECTS + "test_an_order_shows_no_session_and_no_payment_key",
          "gateway/http_orders.py", 'view["session"] = ""', "pass"),
    Guard(_OBJECTS + "test_a_hold_is_its_tokens_bearers_and_its_token_is_never_published",
          "engine/holding.py",
          '"""Say what the hold contains."""\n    mine = state.holds.get(command.token)',
          "mine = next(iter(state.holds.values()), None)"),
    Guard(_OBJECTS + "test_who_places_an_order_cannot_say_who_they_are",
          "gateway/http_orders.py", "channel=Channel.PHONE if by_phone else principal.channel,",
          "channel=wanted.channel,"),
    Guard(_OBJECTS + "test_an_order_id_of_others_cannot_be_placed_again", "engine/actors/desk.py",
          "same = known.holds == request.baskets and known.channel == request.channel",
          "same = True"),
    Guard("tests/actors/test_payments_webhooks.py::test_a_signature_that_is_not_ours_is_rejected",
          "engine/actors/payments.py",
          "stripe.WebhookSignature.verify_header(payload, signature, self._webhook_secret, None)",
          "pass"),
    Guard(_OBJECTS + "test_a_webhook_that_nobody_signed_changes_nothing",
          "gateway/http_orders.py", 'raise Problem("signature_invalid", str(error)) from None',
          "pass"),
    Guard(_HIDDEN + "test_http_does_not_tell_a_hidden_performance_from_none", "gateway/http.py",
          "    if entry.is_public:\n", "    if True:\n"),
    Guard(_HIDDEN + "test_its_feed_is_shown_to_staff_and_to_nobody_else", "gateway/replica.py",
          "public = await self._is_public(feed.performance)", "public = True"),
    Guard(_HIDDEN + "test_its_sold_seats_are_not_told_by_refusals", "gateway/replica.py",
          "if feed is None or feed.replica is None or not feed.public:",
          "if feed is None or feed.replica is None:"),
    Guard(_HIDDEN + "test_no_command_tells_a_hidden_performance_from_none", "gateway/socket.py",
          "        if public:\n", "        if True:\n"),
    Guard(_HIDDEN + "test_who_watches_when_it_is_hidden_is_sent_away", "gateway/replica.py",
          "            if not public:\n", "            if False:\n"),
    Guard(_HIDDEN + "test_a_guess_starts_no_actor", "gateway/replica.py",
          "return  # whoever guesses a number starts nothing", "pass"),
    # Tickets
    Guard(_SECRET + "test_no_forgery_of_fifty_thousand_is_accepted", "renderers/secret.py",
          'raise ForgedSecret("the signature is not the organiser\'s") from None', "pass"),
    Guard(_SECRET + "test_a_door_that_forgets_who_was_let_in_is_caught_by_the_replays",
          "engine/admission.py",
          "if uses and not _may_come_again(state.settings.re_entry, uses, mode):",
          "if False:"),
    Guard(_OBJECTS + "test_a_ticket_of_another_house_or_performance_opens_no_door",
          "renderers/secret.py",
          'raise ForgedSecret("the signature is not the organiser\'s") from None', "pass"),
    Guard(_SECRET + "test_no_altered_short_number_of_150_000_is_accepted", "renderers/secret.py",
          'if not hmac.compare_digest(mac.to_bytes(8, "big"), proof.to_bytes(8, "big")):',
          "if False:"),
    # Devices at the doors
    Guard("tests/console/test_trust.py::"
          "test_a_venues_own_certificate_is_good_by_its_fingerprint_and_no_other_is",
          "console/identity.py", "if fingerprint_of(certificate) != offer.fingerprint:",
          "if False:"),
    Guard(_SCAN + "test_revoking_a_device_closes_its_page_and_loses_nothing", "gateway/hub.py",
          "if connection.principal in gone:", "if False:"),
    Guard(_RELAY + "test_who_may_not_scan_here_is_told_so", "console/relay.py",
          "                    revoked.set()\n", "                    pass\n"),
    Guard(_SCAN + "test_the_page_reads_secrets_as_the_house_makes_them",
          "gateway/web/js/scan_secret.js", "if (held !== 0) return null;", ""),
    Guard(_KEPT + "test_what_is_refunded_replaced_or_used_before_the_doors_"
          "is_known_without_a_network",
          "gateway/web/js/scan_judge.js", "if (state && version <= known) return state;", ""),
    # Sessions, logins, other sites
    Guard(_SESSIONS + "test_a_session_is_never_the_one_that_a_client_chose", "gateway/session.py",
          "if not hmac.compare_digest(mac, self._mac(body)):", "if False:"),
    Guard(_SESSIONS + "test_a_buyers_token_gives_no_operators_rights_after_a_login",
          "gateway/session.py", "Principal(session.hex(), frozenset({Role.BUYER}), expires_ms)",
          "Principal(session.hex(), frozenset({Role.ADMIN}), expires_ms)"),
    Guard(_SESSIONS + "test_a_foreign_page_gets_nothing_done_with_its_visitors_browser",
          "gateway/http.py", 'return token.strip() if scheme.lower() == "bearer" else ""',
          'return token.strip() or request.cookies.get("token", "")'),
    Guard(_SESSIONS + "test_the_websocket_opens_for_our_own_pages_only", "gateway/hub.py",
          "        if not own:\n", "        if False:\n"),
    Guard(_HTTP + "test_pages_have_nothing_inline_that_the_policy_would_have_to_allow",
          "gateway/web/index.html", "</head>", "<script>1</script></head>"),
    Guard(_HTTP + "test_the_scanner_page_is_as_strict_as_the_others", "gateway/pages.py",
          'policy = SCAN_POLICY if name == "scan.html" else PAGE_POLICY', "policy = SCAN_POLICY"),
    Guard(_HTTP + "test_every_answer_carries_the_safe_headers", "gateway/http.py",
          'headers["Referrer-Policy"] = "no-referrer"', "pass"),
    Guard(_SESSIONS + "test_guessing_a_password_is_slowed_by_name_and_by_address",
          "gateway/login.py", "        if wait_s > 0:\n", "        if False:\n"),
    Guard("tests/gateway/test_login.py::"
          "test_guesses_made_at_once_are_counted_before_they_are_answered",
          "gateway/login.py", "self._by_name.failed(name, now_s)", "pass"),
    Guard(_SESSIONS + "test_names_cannot_be_told_by_answer_or_clock", "gateway/login.py",
          "_HASHER.verify(_decoy(), password)", "pass"),
    Guard(_SESSIONS + "test_guessing_tokens_is_slowed_and_keeps_out_nobody_who_is_in",
          "gateway/session.py", "if wait_s > 0 and not known_good:", "if False:"),
    Guard(_SESSIONS + "test_the_memory_of_guesses_is_bounded", "gateway/addresses.py",
          "if len(self._left) > MAX_REMEMBERED_ADDRESSES:", "if False:"),
    Guard(_SESSIONS + "test_secrets_are_compared_in_constant_time", "gateway/admissions.py",
          "if not hmac.compare_digest(mac, self._mac(performance, commitment, session, expiry)):",
          "if mac != self._mac(performance, commitment, session, expiry):"),
    Guard(_SESSIONS + "test_a_token_of_one_kind_is_no_token_of_another", "gateway/admissions.py",
          "+ commitment + expiry + session.encode()", "+ commitment + expiry"),
    Guard(_SESSIONS + "test_passwords_are_kept_as_argon2_and_tokens_as_digests",
          "gateway/session.py", "return sha256(token.encode()).digest()", "return token.encode()"),
    # The line
    Guard(_ADDRESSES + "test_one_address_cannot_take_all_sockets", "gateway/hub.py",
          "if not self._crowd.enter(address):", "if False:"),
    Guard(_ADDRESSES + "test_http_connections_of_one_address_are_bounded", "gateway/serving.py",
          " < MAX_HTTP_CONNECTIONS and self._crowd.enter(key)", " < MAX_HTTP_CONNECTIONS"),
    Guard(_ADDRESSES + "test_sessions_of_one_address_are_bounded", "gateway/http_public.py",
          "    if wait_s > 0:\n", "    if False:\n"),
    Guard(_ADDRESSES + "test_a_house_behind_one_address_is_served", "gateway/limits.py",
          "MAX_SOCKETS_PER_ADDRESS: Final = 1_000", "MAX_SOCKETS_PER_ADDRESS: Final = 100"),
    Guard(_ADDRESSES + "test_whose_address_is_believed", "gateway/addresses.py",
          "        if not self.is_proxy(address):\n            return address\n", ""),
    Guard(_HTTP + "test_no_header_of_ours_can_be_made_by_a_client", "gateway/http.py",
          "request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)",
          "request_id = given"),
    Guard(_HTTP + "test_what_is_no_request_is_answered_without_an_echo", "gateway/serving.py",
          "    def handle_error(", "    def _no_handle_error("),
    Guard(_HTTP + "test_oversize_heads_bodies_and_addresses_are_refused", "gateway/http.py",
          "if len(parts) > most_bytes:", "if False:"),
    Guard(_HTTP + "test_oversize_frames_end_their_connection_before_they_are_there",
          "gateway/inbound.py", "if length > MAX_FRAME_BYTES:", "if False:"),
    Guard("tests/gateway/test_inbound.py::test_many_parts_cost_no_more_than_their_number",
          "gateway/inbound.py", "self._gathered += len(payload) + 1",
          "self._gathered = sum(map(len, self._fragments)) + len(self._fragments)"),
    Guard("tests/gateway/test_fuzz.py::test_random_msgpack_and_random_bytes", "gateway/socket.py",
          "if self._malformed >= MAX_MALFORMED_FRAMES:", "if False:"),
    Guard("tests/gateway/test_fuzz.py::test_broken_websocket_frames_end_their_connection_only",
          "gateway/inbound.py", "            if length < 0:\n", "            if False:\n"),
    Guard(_HTTP + "test_compressed_bodies_are_not_unpacked", "gateway/http.py",
          'if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":', "if False:"),
    Guard(_HTTP + "test_the_websocket_offers_no_compression", "gateway/inbound.py",
          "if head & 0x70:", "if False:"),
    Guard(_HTTP + "test_a_head_that_does_not_come_is_not_waited_for", "gateway/serving.py",
          '"keepalive_timeout": KEEPALIVE_S,', '"keepalive_timeout": 3_600,'),
    Guard(_HTTP + "test_a_body_that_does_not_come_is_not_waited_for", "gateway/http.py",
          "asyncio.timeout(BODY_TIMEOUT_S)", "asyncio.timeout(None)"),
    Guard(_RELAY + "test_the_slow_and_the_too_large_are_not_waited_for", "console/relay.py",
          "await Listener(self._runner, host, port, Addresses(), Metrics(), secure).start()",
          "await web.TCPSite(self._runner, host, port, ssl_context=secure).start()"),
    Guard(_HTTP + "test_an_answer_that_nobody_reads_is_not_kept", "gateway/serving.py",
          "call_later(MAX_STALL_S, self._cut_off)", "call_later(3_600, self._cut_off)"),
    Guard("tests/gateway/test_load.py::test_who_never_reads_is_cut_off", "gateway/socket.py",
          'call_later(MAX_STALL_S, self.cut_off, "does_not_read")',
          'call_later(3_600, self.cut_off, "does_not_read")'),
    Guard(_ADDRESSES + "test_every_way_out_gives_the_place_back", "gateway/arrival.py",
          "            within_s, self.refuse", "            3_600, self.refuse"),
    Guard("tests/gateway/test_socket.py::"
          "test_over_the_rate_commands_are_shed_then_the_connection_closed",
          "gateway/socket.py", "if tokens < 0.0:", "if False:"),
    Guard("tests/gateway/test_socket.py::"
          "test_pings_faster_than_anybody_needs_end_the_connection",
          "gateway/socket.py", "if self._spend(now_s) < -MAX_RATE_DEBT_COMMANDS:", "if False:"),
    Guard(_HTTP + "test_no_path_leads_out_of_the_pages", "gateway/pages.py",
          "file = self._files.get(rest if of_this_version else name)",
          'file = File((WEB_DIR / name).read_bytes(), b"", "text/plain", "")'),
    Guard("tests/actors/test_lane.py::test_without_the_key_nothing_is_answered",
          "engine/actors/lane.py", "if not hmac.compare_digest(given, self._key):", "if False:"),
    # Texts that somebody else opens
    Guard(_INJECTION + "test_no_page_makes_markup_of_a_text", "gateway/web/js/announce.js",
          "region.textContent = text;", "region.innerHTML = text;"),
    Guard(_INJECTION + "test_a_picture_of_a_plan_holds_texts_as_texts", "renderers/seatmap.py",
          "{escape(words.text)}", "{words.text}"),
    Guard(_INJECTION + "test_tickets_and_receipts_print_a_name_and_do_nothing_with_it",
          "renderers/ticket.py", "    canvas.setTitle(",
          '    canvas.linkURL("x", (0, 0, 1, 1))\n    canvas.setTitle('),
    Guard(_LETTERS + "test_names_and_titles_stay_where_they_are_put", "renderers/mail.py",
          "<strong>{escape(block.title)}</strong>", "<strong>{block.title}</strong>"),
    Guard(_LETTERS + "test_what_is_no_address_is_refused_for_good", "gateway/letters.py",
          "if not is_address(address):", "if not address:"),
    Guard(_INJECTION + "test_every_module_that_writes_a_table_guards_its_cells",
          "renderers/guest_list.py", "from renderers.cells import plain_cell",
          "plain_cell = str"),
    Guard(_INJECTION + "test_no_name_is_a_formula_to_a_spreadsheet", "renderers/cells.py",
          'text.lstrip(" \\u00a0\\u3000\\ufeff").startswith(_FORMULA)', 'text.startswith("=")'),
    Guard(_INJECTION + "test_no_sql_is_put_together_from_texts", "persistence/backup.py",
          "\"SELECT to_regclass('alembic_version')\"", "f\"SELECT to_regclass('{name}')\""),
    Guard(_INJECTION + "test_a_text_makes_no_line_of_its_own_in_the_log", "gateway/logs.py",
          "structlog.processors.JSONRenderer(sort_keys=True)",
          'lambda _logger, _method, event: str(event["text"])'),
    Guard(_INJECTION + "test_no_zero_character_reaches_a_table", "gateway/http.py",
          'if "\\0" in value:', "if False:"),
    Guard(_INJECTION + "test_no_number_is_larger_than_every_reader_can_tell", "gateway/http.py",
          "if abs(value) > MAX_JSON_NUMBER:", "if False:"),
    Guard(_LOGS + "test_no_secret_is_in_any_log", "gateway/logs.py",
          "        return masked(value)\n", "        return value\n"),
    Guard(_LOGS + "test_an_event_hides_it_at_any_depth", "gateway/logs.py",
          "return masked(repr(value))", "return value"),
    Guard(_LOGS + "test_the_processes_of_the_actors_mask_too", "engine/actors/process.py",
          "return masked(super().format(record))", "return super().format(record)"),
    Guard(_LOGS + "test_the_password_in_a_databases_address_is_masked", "engine/masking.py",
          "://[^\\s:/@]*:)[^\\s@]+(?=@)", "://[^\\s:/@]*:)x(?=@)"),
    Guard(_LOGS + "test_no_secret_is_in_the_audit_log", "gateway/http_operators.py",
          'edge.auditor.note(principal, "login", person.name, address=address)',
          'edge.auditor.note(principal, "login", token, address=address)'),
    Guard("tests/fuzz/test_decoders.py::test_damaged_inputs_break_nothing", "gateway/doors.py",
          "except secret.ForgedSecret:", "except KeyError:"),
    Guard("tests/security/test_api_schema.py::"
          "test_no_request_meets_a_fault_or_an_answer_that_is_not_documented", "gateway/http.py",
          "if not text.isascii() or not text.isdigit() or not least", "if not least"),
)  # fmt: skip


class Checkout:
    """A copy of the tree, in which one text at a time is another."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "checkout"
        shutil.copytree(ROOT, self._root, ignore=IGNORED)
        folder.chmod(0o755)

    def verdict(self, *arguments: str) -> Verdict:
        command = [sys.executable, "-B", "-m", "pytest", "-x", "-q"]
        done = subprocess.run(
            [*command, *PLUGINS, *arguments],
            cwd=self._root,
            env=os.environ | {"PYTHONPATH": str(self._root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return "passed"
        if re.search(r"^\d+ failed", done.stdout, re.MULTILINE):
            return "failed"
        print(done.stdout[-2_000:], done.stderr[-2_000:])
        return "broken"

    def without(self, guard: Guard) -> Verdict:
        path = self._root / guard.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(guard.stands, guard.instead), encoding="utf-8")
        try:
            return self.verdict("-o", f"timeout={HANGS_S}", guard.test)
        finally:
            path.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security.guards")
    parser.add_argument("--only", default="", help="guards whose test or file contains this")
    only = parser.parse_args().only
    chosen = [guard for guard in GUARDS if only in guard.test or only in guard.file]
    unnoticed = 0
    with tempfile.TemporaryDirectory(prefix="strapontin-guards-") as folder:
        checkout = Checkout(Path(folder))
        if checkout.verdict(*dict.fromkeys(guard.test for guard in chosen)) != "passed":
            print("with every guard in place these tests have to pass: they do not")
            return 1
        for guard in chosen:
            began_s = time.monotonic()
            noticed = checkout.without(guard) == "failed"
            unnoticed += not noticed
            word = "missed" if noticed else "NOT MISSED"
            name = guard.test.rpartition("::")[2]
            took_s = time.monotonic() - began_s
            print(f"{word:10} {took_s:5.1f} s  {guard.file}  {name}", flush=True)
    print(
        f"{len(chosen)} guards switched off, {unnoticed} not missed; {len(NOT_HERE)} are not here"
    )
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
