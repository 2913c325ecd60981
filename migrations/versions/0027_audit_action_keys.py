"""The audit log stores keys of actions, so that labels can change, and calls deleted contacts "contact"."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

KEYS = (
    ("signed in", "signed_in"),
    ("failed to sign in", "sign_in_failed"),
    ("was kept waiting", "sign_in_throttled"),
    ("signed out", "signed_out"),
    ("signed out everywhere", "signed_out_everywhere"),
    ("changed a password", "password_changed"),
    ("added a person", "user_added"),
    ("changed a person's rights", "user_changed"),
    ("disabled a person", "user_disabled"),
    ("enabled a person", "user_enabled"),
    ("created a token", "api_token_created"),
    ("revoked a token", "api_token_revoked"),
    ("used a token from a new address", "api_token_used"),
    ("sent a refused API token", "api_token_refused"),
    ("was refused access", "access_refused"),
    ("requested data not visible", "data_not_visible"),
    ("started a job", "job_started"),
    ("canceled a job", "job_canceled"),
    ("retried a job", "job_retried"),
    ("had a person looked up", "identity_refreshed"),
    ("exported identities", "identities_exported"),
    ("deleted a person's data", "contact_deleted"),
    ("connected an account", "account_connected"),
    ("removed an account", "account_removed"),
    ("withdrew access to an account", "app_deauthorized"),
    ("asked to delete an account", "deletion_requested"),
    ("assigned an owner's request", "owner_request_assigned"),
    ("closed an owner's request", "owner_request_closed"),
    ("replayed a dead letter", "dead_letter_replayed"),
    ("discarded a dead letter", "dead_letter_discarded"),
    ("changed a queue by hand", "queue_changed"),
    ("rotated keys", "keys_rotated"),
)

_audit_log = sa.table("audit_log", sa.column("action", sa.String), sa.column("subject", sa.String))


def upgrade() -> None:
    _replace(dict(KEYS))
    _rename("person ", "contact ")


def downgrade() -> None:
    _replace({key: sentence for sentence, key in KEYS})
    _rename("contact ", "person ")


def _replace(values: dict[str, str]) -> None:
    action = _audit_log.c.action
    op.execute(_audit_log.update().where(action.in_(values)).values(action=sa.case(values, value=action)))


def _rename(old: str, new: str) -> None:
    subject = _audit_log.c.subject
    renamed = sa.literal(new) + sa.func.substr(subject, len(old) + 1)
    op.execute(_audit_log.update().where(subject.startswith(old)).values(subject=renamed))
