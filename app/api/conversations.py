"""Endpoints for conversations and their messages."""

from collections.abc import Callable
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.accounts import listing
from app.api import auth, avatars, cursors
from app.api.responses import Conversation, ConversationPage, MessagePage
from app.api.row_ids import number
from app.api.schemas import ById, ConversationsQuery, Paged
from app.clock import rfc3339
from app.inbox import api_queries, reply_decisions, thread
from app.inbox.api_queries import ConversationEntry, FeedQuery, MessageEntry
from app.inbox.message_facts import MessageAttachment, MessageReaction, MessageReferral, ReplyTarget
from app.viewer import Viewer

CONVERSATIONS = Tag(name="Conversations", description="Conversations and the contacts who write in them.")
MESSAGES = Tag(name="Messages", description="Messages of a conversation.")


def register(api: APIBlueprint) -> None:
    """Add the endpoints of conversations and messages to `api`."""

    @api.get(
        "/messaging/conversations",
        tags=[CONVERSATIONS],
        summary="List conversations",
        responses={200: ConversationPage},
    )
    def list_conversations(query: ConversationsQuery) -> dict[str, Any]:
        viewer = auth.viewer()
        account = listing.by_ig_id(viewer, query.accountId) if query.accountId else None
        want = FeedQuery(
            account_id=account.id if account else None,
            status=query.status,
            unread=query.unread,
            unknown=query.unknown,
            needs_reply=query.needsReply or query.order is not None,
            q=query.q.strip(),
        )
        after = cursors.position(query.cursor, "conversations", want)
        found, last = api_queries.conversations(viewer, want, limit=query.limit, after=after)
        return {"data": [_entry(each) for each in found], "nextCursor": cursors.seal(last, "conversations", want)}

    @api.get(
        "/messaging/conversations/<id>",
        tags=[CONVERSATIONS],
        summary="Get a conversation",
        responses={200: Conversation},
    )
    def get_conversation(path: ById) -> dict[str, Any]:
        return _entry(api_queries.conversation(auth.viewer(), number(path.id, "conversation")))

    @api.post(
        "/messaging/conversations/<id>/read",
        tags=[CONVERSATIONS],
        summary="Mark a conversation as read",
        description="Marks the messages up to now as read for the team. Users who have not read them keep them unread.",
        responses={200: Conversation},
    )
    def mark_conversation_read(path: ById) -> dict[str, Any]:
        return _changed(path, thread.mark_read)

    @api.post(
        "/messaging/conversations/<id>/no-reply-needed",
        tags=[CONVERSATIONS],
        summary="Mark a conversation as no reply needed",
        description="Until the contact writes again. The messages that the contact has sent so far need no reply.",
        responses={200: Conversation},
    )
    def mark_no_reply_needed(path: ById) -> dict[str, Any]:
        return _changed(path, reply_decisions.mark_no_reply_needed)

    @api.delete(
        "/messaging/conversations/<id>/no-reply-needed",
        tags=[CONVERSATIONS],
        summary="Mark a conversation as needs reply again",
        description="Withdraws the decision that no reply is needed. After an answer it changes nothing.",
        responses={200: Conversation},
    )
    def mark_needs_reply(path: ById) -> dict[str, Any]:
        return _changed(path, reply_decisions.mark_needs_reply)

    @api.get(
        "/messaging/conversations/<id>/messages",
        tags=[MESSAGES],
        summary="List the messages of a conversation",
        responses={200: MessagePage},
    )
    def list_messages(path: ById, query: Paged) -> dict[str, Any]:
        conversation_id = number(path.id, "conversation")
        after = cursors.position(query.cursor, "messages", conversation_id)
        found, last = api_queries.messages(auth.viewer(), conversation_id, limit=query.limit, after=after)
        sealed = cursors.seal(last, "messages", conversation_id)
        return {"data": [_message(each) for each in found], "nextCursor": sealed}


def _changed(path: ById, change: Callable[[Viewer, int], None]) -> dict[str, Any]:
    """Change a conversation, and return it."""
    viewer, conversation_id = auth.viewer(), number(path.id, "conversation")
    change(viewer, conversation_id)
    return _entry(api_queries.conversation(viewer, conversation_id))


def _entry(one: ConversationEntry) -> dict[str, Any]:
    picture = avatars.picture_path(one.ig_account_id, one.ig_participant_id, one.picture_version)
    return api_queries.as_dict(one) | {"participantProfilePic": picture}


def _message(one: MessageEntry) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "mid": one.mid,
        "senderId": one.ig_sender_id,
        "direction": "outgoing" if one.outgoing else "incoming",
        "kind": one.kind.value,
        "text": one.text,
        "attachments": [_attachment(each) for each in one.attachments],
        "reactions": [_reaction(each) for each in one.reactions],
        "replyTo": _reply_to(one.reply_to),
        "referral": _referral(one.referral),
        "sentAt": rfc3339(one.sent_at),
        "editedAt": rfc3339(one.edited_at),
        "seenAt": rfc3339(one.seen_at),
    }


def _attachment(one: MessageAttachment) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "url": one.url,
        "title": one.title,
        "subtitle": one.subtitle,
        "imageUrl": one.image_url,
    }


def _reaction(one: MessageReaction) -> dict[str, Any]:
    return {
        "emoji": one.emoji,
        "senderId": one.ig_sender_id,
        "fromAccount": one.from_account,
        "at": rfc3339(one.at),
    }


def _reply_to(one: ReplyTarget | None) -> dict[str, Any] | None:
    return {"kind": one.kind.value, "mid": one.mid, "storyId": one.story_id, "url": one.url} if one else None


def _referral(one: MessageReferral | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "kind": one.kind.value,
        "ref": one.ref,
        "source": one.source,
        "adId": one.ad_id,
        "adTitle": one.ad_title,
        "photoUrl": one.photo_url,
        "videoUrl": one.video_url,
        "productId": one.product_id,
    }
