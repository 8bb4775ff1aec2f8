"""What any step of a run is computed again from: states on the way, and the digests that prove it.

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


def downgrade() -> None:
    op.drop_table("step_digests")
    with op.batch_alter_table("checkpoints") as table:
        table.drop_column("is_waypoint")
