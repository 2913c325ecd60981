"""The Users pages, for admins: roles, account access, passwords. A generated password is shown once."""

from collections.abc import Mapping

from flask import Blueprint, Response, flash, request

from app.accounts import listing
from app.errors import Invalid
from app.users import passwords, users
from app.users.users import StaffUser
from app.viewer import Role
from app.web import account_selection, rendering, session
from app.web.inbox import ID

HOME = "/users"

blueprint = Blueprint("users", __name__, url_prefix=HOME)


@blueprint.get("")
def index() -> Response:
    """Show the users, and the form to add one."""
    return _list()


@blueprint.post("")
def add() -> Response:
    """Add a user with a generated password, which is shown once."""
    email, password = request.form.get("email", ""), passwords.generate()
    try:
        role, account_ids = _access()
        staff_user = users.add_user(session.viewer(), email, role=role, password=password, account_ids=account_ids)
    except Invalid as error:
        return _list(errors=error.fields, email=email[:254])
    return _list(made=(staff_user.email, password))


@blueprint.get(f"/<{ID}:user_id>")
def user(user_id: int) -> Response:
    """Show a user with their role, access and sign-in."""
    return _user(users.by_id(session.viewer(), user_id))


@blueprint.post(f"/<{ID}:user_id>/access")
def access(user_id: int) -> Response:
    """Change the role and account access of a user. Ends their sessions."""
    viewer = session.viewer()
    staff_user = users.by_id(viewer, user_id)
    try:
        role, account_ids = _access()
        users.change_access(viewer, staff_user.email, role=role, account_ids=account_ids)
    except Invalid as error:
        return _user(staff_user, errors=error.fields)
    return _done(user_id, f"Updated the role and account access of {staff_user.email} and signed them out.")


@blueprint.post(f"/<{ID}:user_id>/password")
def password(user_id: int) -> Response:
    """Reset the password of a user. Ends their sessions; the new password is shown once."""
    viewer, fresh = session.viewer(), passwords.generate()
    staff_user = users.by_id(viewer, user_id)
    users.change_password(viewer, staff_user.email, password=fresh)
    return _user(staff_user, made=(staff_user.email, fresh))


@blueprint.post(f"/<{ID}:user_id>/disable")
def disable(user_id: int) -> Response:
    """Disable a user. Ends their sessions."""
    viewer = session.viewer()
    email = users.by_id(viewer, user_id).email
    users.disable(viewer, email)
    return _done(user_id, f"Disabled {email} and signed them out.")


@blueprint.post(f"/<{ID}:user_id>/enable")
def enable(user_id: int) -> Response:
    """Enable a user again."""
    viewer = session.viewer()
    email = users.by_id(viewer, user_id).email
    users.enable(viewer, email)
    return _done(user_id, f"Enabled {email}.")


def _done(user_id: int, message: str) -> Response:
    flash(message)
    return rendering.hx_redirect(f"{HOME}/{user_id}")


def _access() -> tuple[Role, list[int] | None]:
    role, chosen = request.form.get("role", ""), request.form.getlist("account")
    if role not in set(Role):
        raise Invalid({"role": "Choose a role: agent, ops or admin."})
    if "every" in request.form:
        return Role(role), None
    # An unknown account must not limit the user to nothing, nor give access to all accounts.
    known = {each.ig_account_id: each.id for each in listing.accounts(session.viewer())}
    if not set(chosen) <= known.keys():
        raise Invalid({"accounts": "Select accounts from the list."})
    return Role(role), [known[each] for each in chosen]


def _list(*, errors: Mapping[str, str] | None = None, email: str = "", made: tuple[str, str] | None = None) -> Response:
    viewer = session.viewer()
    return rendering.render(
        "users/page.html",
        None,
        selection=account_selection.select(),
        status=422 if errors else 200,
        users=users.list_users(viewer),
        accounts=listing.accounts(viewer),
        roles=Role,
        errors=errors or {},
        email=email,
        made=made,
    )


def _user(
    staff_user: StaffUser, *, errors: Mapping[str, str] | None = None, made: tuple[str, str] | None = None
) -> Response:
    viewer = session.viewer()
    return rendering.render(
        "users/user.html",
        None,
        selection=account_selection.select(),
        status=422 if errors else 200,
        user=staff_user,
        is_self=staff_user.id == viewer.user_id,
        accounts=listing.accounts(viewer),
        roles=Role,
        errors=errors or {},
        made=made,
    )
