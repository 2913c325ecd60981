"""People, for admins: who may sign in, with which rights; a password made here is shown once."""

from collections.abc import Mapping

from flask import Blueprint, Response, flash, request

from app.accounts import listing
from app.errors import Invalid
from app.users import passwords, users
from app.users.users import StaffUser
from app.viewer import Role
from app.web import account_selection, rendering, session
from app.web.inbox import ID

HOME = "/people"

blueprint = Blueprint("people", __name__, url_prefix=HOME)


@blueprint.get("")
def index() -> Response:
    """Everyone, and the form that adds someone."""
    return _everyone()


@blueprint.post("")
def add() -> Response:
    """Let someone sign in, with a password that is shown once."""
    email, password = request.form.get("email", ""), passwords.generate()
    try:
        role, account_ids = _rights()
        someone = users.add_user(session.viewer(), email, role=role, password=password, account_ids=account_ids)
    except Invalid as error:
        return _everyone(errors=error.fields, email=email[:254])
    return _everyone(made=(someone.email, password))


@blueprint.get(f"/<{ID}:person_id>")
def person(person_id: int) -> Response:
    """One person, and what can be changed about them."""
    return _one(users.by_id(session.viewer(), person_id))


@blueprint.post(f"/<{ID}:person_id>/rights")
def rights(person_id: int) -> Response:
    """Change someone's role and accounts; their sessions end."""
    viewer = session.viewer()
    someone = users.by_id(viewer, person_id)
    try:
        role, account_ids = _rights()
        users.change_access(viewer, someone.email, role=role, account_ids=account_ids)
    except Invalid as error:
        return _one(someone, errors=error.fields)
    return _done(person_id, f"Changed the role and account access of {someone.email}. Their sessions have ended.")


@blueprint.post(f"/<{ID}:person_id>/password")
def password(person_id: int) -> Response:
    """Give someone a new password, which is shown once; their sessions end."""
    viewer, fresh = session.viewer(), passwords.generate()
    someone = users.by_id(viewer, person_id)
    users.change_password(viewer, someone.email, password=fresh)
    return _one(someone, made=(someone.email, fresh))


@blueprint.post(f"/<{ID}:person_id>/disable")
def disable(person_id: int) -> Response:
    """Keep someone out; their sessions end."""
    viewer = session.viewer()
    email = users.by_id(viewer, person_id).email
    users.disable(viewer, email)
    return _done(person_id, f"Disabled {email}. Their sessions have ended.")


@blueprint.post(f"/<{ID}:person_id>/enable")
def enable(person_id: int) -> Response:
    """Let someone sign in again."""
    viewer = session.viewer()
    email = users.by_id(viewer, person_id).email
    users.enable(viewer, email)
    return _done(person_id, f"Enabled {email}.")


def _done(person_id: int, words: str) -> Response:
    flash(words)
    return rendering.see_other(f"{HOME}/{person_id}")


def _rights() -> tuple[Role, list[int] | None]:
    role, chosen = request.form.get("role", ""), request.form.getlist("account")
    if role not in set(Role):
        raise Invalid({"role": "The role should be agent, ops or admin."})
    if "every" in request.form:
        return Role(role), None
    # An account of Meta's digits that is none of ours limits to nothing, and is no reason to see more.
    known = {each.ig_account_id: each.id for each in listing.accounts(session.viewer())}
    if not set(chosen) <= known.keys():
        raise Invalid({"accounts": "The accounts should be of the list."})
    return Role(role), [known[each] for each in chosen]


def _everyone(
    *, errors: Mapping[str, str] | None = None, email: str = "", made: tuple[str, str] | None = None
) -> Response:
    viewer = session.viewer()
    return rendering.render(
        "users/page.html",
        None,
        desk=account_selection.select(viewer),
        status=422 if errors else 200,
        people=users.list_users(viewer),
        accounts=listing.accounts(viewer),
        roles=Role,
        errors=errors or {},
        email=email,
        made=made,
    )


def _one(
    someone: StaffUser, *, errors: Mapping[str, str] | None = None, made: tuple[str, str] | None = None
) -> Response:
    viewer = session.viewer()
    return rendering.render(
        "users/user.html",
        None,
        desk=account_selection.select(viewer),
        status=422 if errors else 200,
        someone=someone,
        is_self=someone.id == viewer.user_id,
        accounts=listing.accounts(viewer),
        roles=Role,
        errors=errors or {},
        made=made,
    )
