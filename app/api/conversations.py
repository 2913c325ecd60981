"""Conversations and messages, for programs."""

from typing import Any

from flask_openapi3 import APIBlueprint

from app.accounts import listing
from app.api import avatars, cursors, door
from app.api.answers import Conversation, Conversations, Messages
from app.api.schemas import ById, ConversationsAsked, Paged
from app.api.words import number, time
from app.inbox import feed
from app.inbox.feed import Entry, Said, Wanted


def connect(api: APIBlueprint) -> None:
    """Add the addresses below /messaging."""

    @api.get("/messaging/conversations", summary="List conversations", responses={200: Conversations})
    def conversations(query: ConversationsAsked) -> dict[str, Any]:
        viewer = door.viewer()
        account = listing.by_ig_id(viewer, query.accountId) if query.accountId else None
        want = Wanted(account.id if account else None, query.status, query.unread, query.unknown, query.q.strip())
        after = cursors.place(query.cursor, "conversations", want)
        found, last = feed.conversations(viewer, want, limit=query.limit, after=after)
        return {"data": [_entry(each) for each in found], "nextCursor": cursors.seal(last, "conversations", want)}

    @api.get("/messaging/conversations/<id>", summary="One conversation", responses={200: Conversation})
    def conversation(path: ById) -> dict[str, Any]:
        return _entry(feed.conversation(door.viewer(), number(path.id, "conversation")))

    @api.get("/messaging/conversations/<id>/messages", summary="Its messages, newest first", responses={200: Messages})
    def messages(path: ById, query: Paged) -> dict[str, Any]:
        conversation_id = number(path.id, "conversation")
        after = cursors.place(query.cursor, "messages", conversation_id)
        found, last = feed.messages(door.viewer(), conversation_id, limit=query.limit, after=after)
        sealed = cursors.seal(last, "messages", conversation_id)
        return {"data": [_said(each) for each in found], "nextCursor": sealed}


def _entry(one: Entry) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "accountId": one.ig_account_id,
        "participantPlatformId": one.ig_participant_id,
        "participantUsername": one.username,
        "participantName": one.name,
        "participantProfilePic": avatars.address(one.ig_account_id, one.ig_participant_id, one.picture_version),
        "displayName": one.display_name,
        "identityState": one.state.value,
        "lastMessageAt": time(one.last_message_at),
        "lastMessagePreview": one.preview,
        "unreadCount": one.unread_count,
        "status": one.status,
    }


def _said(one: Said) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "mid": one.mid,
        "senderId": one.ig_sender_id,
        "direction": "outgoing" if one.outgoing else "incoming",
        "kind": one.kind,
        "text": one.text,
        "attachments": list(one.attachments),
        "sentAt": time(one.sent_at),
        "editedAt": time(one.edited_at),
    }
