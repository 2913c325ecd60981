"""How a name looks to a hurried reader: names with the same look are told apart by their ids (reliability.md S49).

Case, width, letters of other alphabets that are drawn alike, and the digits that we put behind a name make no
difference. The table is from Unicode's list of confusable characters (Technical Standard 39), as far as
it leads to Latin letters and digits.
"""

import re
import unicodedata
from collections.abc import Sequence

from sqlalchemy import Integer, cast, func, select, update

from app.db.transaction import Tx
from app.identities import display
from app.models.identity import Identity
from app.models.inbox import Account

CHARACTERS = 80
_ALIKE = {
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
_DRAWN = str.maketrans({other: letter for letter, others in _ALIKE.items() for other in others})
_DRAWN_TOGETHER = (("rn", "m"), ("vv", "w"))
# Digits behind a name, as display_name appends them; anyone may write them there.
_DIGITS = re.compile(rf"\s+\W\s*\d{{{display.SHORT_DIGITS},}}$")
_LAST_DIGITS = func.substr(
    Identity.ig_participant_id, func.length(Identity.ig_participant_id) + 1 - display.SHORT_DIGITS
)


def skeleton(words: str) -> str:
    """Return what a name looks like, for comparison with other looks only."""
    plain = unicodedata.normalize("NFKC", _DIGITS.sub("", words)).casefold().strip().removeprefix("@")
    look = " ".join(unicodedata.normalize("NFC", plain).split()).translate(_DRAWN)
    for drawn, meant in _DRAWN_TOGETHER:
        look = look.replace(drawn, meant)
    return look[:CHARACTERS]


def update_confusables(tx: Tx, row: Identity) -> None:
    """Note how the changed name of `row` looks, and mark everyone of the account who looks as it did, or does now."""
    shown = display.display_name(row.ig_participant_id, row.username, row.name)
    before, row.look = row.look, skeleton(shown.text) if shown.known else None
    tx.session.flush()
    for look in sorted(filter(None, {before, row.look})):
        _mark_confusables(tx, row.account_id, look)


# Skeletons of short IDs, in which 1 and 0 are the letters l and o.
_SHORT_ID = re.compile(rf"{re.escape(skeleton(display.SHORT_PREFIX))}[\dlo]{{{display.SHORT_DIGITS}}}")
OURS = frozenset(map(skeleton, ("You", "Unknown sender", "Unknown", "The sender unsent this message")))


def is_reserved(look: str, account: str | None) -> bool:
    """Return whether a look is that of words which pages use themselves, of the account, or of a short id."""
    return look in OURS or (account is not None and look == skeleton(account)) or _SHORT_ID.fullmatch(look) is not None


def _mark_confusables(tx: Tx, account_id: int, look: str) -> None:
    if tx.dialect == "postgresql":  # or two who are first seen at the same moment would not see each other
        tx.execute(select(func.pg_advisory_xact_lock(cast(account_id, Integer), func.hashtext(look))))
    same = (Identity.account_id == account_id, Identity.look == look)
    counted = (func.count().label("people"), func.count(_LAST_DIGITS.distinct()).label("endings"))
    found = tx.execute(select(*counted).where(*same)).one()
    account = tx.execute(select(Account.username).where(Account.id == account_id)).scalar_one()
    if found.people != found.endings:
        digits = _digits(tx.execute(select(Identity.ig_participant_id).where(*same)).scalars().all())
    else:
        digits = display.SHORT_DIGITS if found.people > 1 or is_reserved(look, account) else 0
    if tx.execute(update(Identity).where(*same, Identity.alike != digits).values(alike=digits)).rowcount:
        tx.mark_changed(account_id)  # others are shown differently too


def _digits(ig_participant_ids: Sequence[str]) -> int:
    longest = max(map(len, ig_participant_ids))
    enough = (
        digits
        for digits in range(display.SHORT_DIGITS, longest)
        if len({each[-digits:] for each in ig_participant_ids}) == len(ig_participant_ids)
    )
    return next(enough, longest)
