"""Confusable names: contacts whose names have the same skeleton are shown with digits of their IDs.

A skeleton ignores case, width, confusable letters of other alphabets, and the digits that Nametag appends to a name.
The table holds the Latin letters and digits of Unicode's list (https://www.unicode.org/reports/tr39/).
"""

import re
import unicodedata
from collections.abc import Sequence

from sqlalchemy import Integer, cast, func, select, update

from app.db.transaction import Tx
from app.identities import display
from app.instagram import previews
from app.instagram.events import EventKind
from app.models.account import Account
from app.models.identity import Identity

CHARACTERS = 80
_CONFUSABLES = {
    "2": "ƨϩᒿꙅꛯꝛ",
    "3": "ȝɜʒзӡⳍꝫ𑣊𖼻",
    "4": "Ꮞ𑣏",
    "5": "ƽ𑣛",
    "6": "бⳓ𑣕",
    "7": "𐓺𑣆",
    "8": "ȣ৪੪𐌚",
    "9": "৭੧୨൭ⳋꝯ𑣌𑣖",
    "a": "ɑαаᎪᗅꓮ𐊠𖽀",
    "b": "ƅβвьᏏᏴᑲᖯᗷꓐꞵ𐊂𐊡𐌁",
    "c": "σсᏟᴄⲥꓚ𐊢𐌂𐐽𐔜𑣩𑣲",
    "d": "ԁᎠᏧᑯᗞᗪꓒꓓ",
    "e": "εеҽᎬⴹꓰꬲ𐊆𑣎",
    "f": "ϝքᖴẝꓝꞙꬵ𐊇𐊥𐔥𑣂",
    "g": "ƍɡԍցᏀᏳᶃꓖ",
    "h": "ηнһհᎻᏂᕼⲏꓧ𐋏",
    "j": "ʝϳјᎫᒍꓙ",
    "k": "κкᏦᛕⲕꓗ𐔘",
    "l": "i1|ıɩɪιіӏᎥꙇ𑣃ǀ۱Ꮮᒪᛁⲓⳑⵏꓡꓲ𐊊𐌉𐌠𐑃𐔦𑣒𖼖𖼨",
    "m": "μϻмᎷᗰᛖⲙꓟ𐊰𐌑",
    "n": "νոռⲛꓠ𐔓",
    "o": "0οоօ۵०০੦૦ଠ୦௦౦೦ഠ൦๐໐ဝ၀ჿዐᴏᴑⲟⵔ〇ꓳꬽ𐊒𐊫𐐬𐓪𐔖𑓐𑣈𑣗𑣠",
    "p": "ρрᏢᑭⲣꓑ𐊕",
    "q": "ԛգզⵕ",
    "r": "ʀгᎡᎱᏒᖇᴦⲅꓣꭇꭈ𐓜𖼵",
    "s": "ѕտᏕᏚꓢꜱ𐊖𐑈𑣁𖼺",
    "t": "τтᎢⲧꓔ𐊗𐊱𐌕𑣜𖼊",
    "u": "ʋυսሀᑌᴜꓴꞟꭎꭒ𐓶𑣘𖽂",
    "v": "ѵ۷Ꮩᐯᴠⴸꓦꛟ𐔝𑜆𑣀𖼈",
    "w": "ɯѡԝաᎳᏔᴡꓪ𑜊𑜎𑜏𑣦𑣯",
    "x": "χхᕁᕽᚷⲭⵝꓫꭓ𐊐𐊴𐌗𐌢𐔧𑣬",
    "y": "ɣʏγуүყᎩᎽᶌỿⲩꓬꭚ𐊲𑣄𑣜𖽃",
    "z": "ζᏃᴢꓜ𐋵𑣥",
    "-": "‐‑‒–—―−",
    "'": "’‘ʼ`´",
}
_PROTOTYPES = str.maketrans({other: letter for letter, others in _CONFUSABLES.items() for other in others})
_SEQUENCES = (("rn", "m"), ("vv", "w"))
# Digits behind a name, as display_name appends them; a contact may type them too.
_DIGITS = re.compile(rf"\s+\W\s*\d{{{display.SHORT_DIGITS},}}$")
_LAST_DIGITS = func.substr(
    Identity.ig_participant_id, func.length(Identity.ig_participant_id) + 1 - display.SHORT_DIGITS
)


def skeleton(name: str) -> str:
    """Return the skeleton of a name, to compare with other skeletons only."""
    plain = unicodedata.normalize("NFKC", _DIGITS.sub("", name)).casefold().strip().removeprefix("@")
    found = " ".join(unicodedata.normalize("NFC", plain).split()).translate(_PROTOTYPES)
    for sequence, letter in _SEQUENCES:
        found = found.replace(sequence, letter)
    return found[:CHARACTERS]


def update_confusables(tx: Tx, row: Identity) -> None:
    """Store the skeleton of a changed name, and update `alike` of every contact with the old or the new skeleton."""
    shown = display.display_name(row.ig_participant_id, row.username, row.name)
    before, row.skeleton = row.skeleton, skeleton(shown.text) if shown.known else None
    tx.session.flush()
    for each in sorted(filter(None, {before, row.skeleton})):
        _mark_confusables(tx, row.account_id, each)


# Skeletons of short IDs, in which 1 and 0 are the letters l and o.
_SHORT_ID = re.compile(rf"{re.escape(skeleton(display.SHORT_PREFIX))}[\dlo]{{{display.SHORT_DIGITS}}}")
# Texts that pages show in the place of a name or of a message (templates, instagram/previews.py).
OURS = frozenset(
    map(
        skeleton,
        (
            *("You", "Unknown", "Unknown sender", "The sender unsent this message"),
            previews.label(EventKind.UNSENT, outgoing=False),
        ),
    )
)


def is_reserved(skeleton_: str, account: str | None) -> bool:
    """Return whether a skeleton is that of a text of the pages, of the account's own name, or of a short ID."""
    of_account = account is not None and skeleton_ == skeleton(account)
    return skeleton_ in OURS or of_account or _SHORT_ID.fullmatch(skeleton_) is not None


def _mark_confusables(tx: Tx, account_id: int, skeleton_: str) -> None:
    if tx.dialect == "postgresql":  # else two transactions that each add one of two contacts miss each other
        tx.execute(select(func.pg_advisory_xact_lock(cast(account_id, Integer), func.hashtext(skeleton_))))
    same = (Identity.account_id == account_id, Identity.skeleton == skeleton_)
    counted = (func.count().label("contacts"), func.count(_LAST_DIGITS.distinct()).label("endings"))
    found = tx.execute(select(*counted).where(*same)).one()
    account = tx.execute(select(Account.username).where(Account.id == account_id)).scalar_one()
    if found.contacts != found.endings:
        digits = _digits(tx.execute(select(Identity.ig_participant_id).where(*same)).scalars().all())
    else:
        digits = display.SHORT_DIGITS if found.contacts > 1 or is_reserved(skeleton_, account) else 0
    if tx.execute(
        update(Identity).where(*same, Identity.confusable_digits != digits).values(confusable_digits=digits)
    ).rowcount:
        tx.mark_changed(account_id)  # the change affects other contacts too


def _digits(ig_participant_ids: Sequence[str]) -> int:
    longest = max(map(len, ig_participant_ids))
    enough = (
        digits
        for digits in range(display.SHORT_DIGITS, longest)
        if len({each[-digits:] for each in ig_participant_ids}) == len(ig_participant_ids)
    )
    return next(enough, longest)
