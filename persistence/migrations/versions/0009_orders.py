"""Orders that wait on terms, partly paid ones, and states that say what people call them."""

from typing import Final

from alembic import op

revision: Final = "0009"
down_revision: Final = "0008"
branch_labels: Final = None
depends_on: Final = None

_STATES: Final = (
    "'open', 'awaiting_approval', 'awaiting_payment', 'selling', 'paid', 'part_refunded', "
    "'refunded', 'cancelled', 'expired', 'failed'"
)
_NEW_STATE: Final = """CASE {body} ->> 'state'
    WHEN 'pending' THEN 'open'
    WHEN 'paid' THEN 'selling'
    WHEN 'confirmed' THEN CASE
        WHEN {body} -> 'lines' @> '[{{"state": "refunded"}}]' THEN 'part_refunded'
        ELSE 'paid' END
    ELSE {body} ->> 'state' END"""
_IN_ORDER: Final = _NEW_STATE.format(body="body")
_IN_HISTORY: Final = _NEW_STATE.format(body="body::jsonb")
STATEMENTS: Final = (
    "ALTER TABLE orders DROP CONSTRAINT ck_orders_state_known",
    f"UPDATE orders SET state = {_IN_ORDER}, "
    f"body = jsonb_set(body, '{{state}}', to_jsonb({_IN_ORDER}))",
    "UPDATE order_history SET "
    f"body = jsonb_set(body::jsonb, '{{state}}', to_jsonb({_IN_HISTORY}))::text",
    f"ALTER TABLE orders ADD CONSTRAINT ck_orders_state_known CHECK (state IN ({_STATES}))",
    "ALTER TABLE order_lines DROP CONSTRAINT ck_order_lines_state_known",
    "ALTER TABLE order_lines ADD CONSTRAINT ck_order_lines_state_known CHECK "
    "(state IN ('pending', 'reserved', 'sold', 'refunded', 'cancelled'))",
    "ALTER TABLE payments DROP CONSTRAINT ck_payments_method_known",
    "ALTER TABLE payments ADD CONSTRAINT ck_payments_method_known CHECK (method IN "
    "('cash', 'card_terminal', 'cheque', 'bank_transfer', 'test_card', 'stripe'))",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
