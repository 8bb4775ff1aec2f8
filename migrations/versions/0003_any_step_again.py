"""What any step of a run is computed again from, and what a run is stopped and changed at.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("checkpoints") as table:
        table.add_column(sa.Column("is_waypoint", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "step_digests",
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("last_moment", sa.BigInteger(), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )

    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("amendments", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
    op.create_table(
        "watchpoints",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("quantity", sa.String(120), nullable=False),
        sa.Column("comparison", sa.String(2), nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hit_step", sa.BigInteger(), nullable=True),
        sa.Column("hit_value", sa.Float(53), nullable=True),
    )
    op.create_index("ix_watchpoints_run_id", "watchpoints", ["run_id"])
    op.create_table(
        "deferred",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("method", sa.String(10), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Float(53), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer_status", sa.Integer(), nullable=True),
        sa.Column("answer_headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
    )
    op.create_index("deferred_to_claim", "deferred", ["status", "created_at"])


def downgrade() -> None:
    op.drop_table("deferred")
    op.drop_table("watchpoints")
    with op.batch_alter_table("runs") as table:
        table.drop_column("amendments")
    op.drop_table("step_digests")
    with op.batch_alter_table("checkpoints") as table:
        table.drop_column("is_waypoint")
