"""What people call things: colours, synonyms, plurals. Pure; shared by the grammar and by recall.

A label is matched to the words of a question in this order: the same words; their singular; a synonym; the last word of
a longer label ("table" for "coffee table"). A later way counts only if no earlier one fits anything known. A word for
something nearly the same ("cup" for "mug") never counts: what it names is told of beside "I have not seen one".
"""

from __future__ import annotations

from collections.abc import Collection

COLOURS = {
    "red": "red", "scarlet": "red", "crimson": "red", "orange": "orange", "yellow": "yellow", "golden": "yellow",
    "green": "green", "olive": "green", "blue": "blue", "navy": "blue", "turquoise": "blue", "cyan": "blue",
    "teal": "blue", "purple": "purple", "violet": "purple", "lilac": "purple", "pink": "pink",
    "brown": "brown", "wooden": "brown",
    "beige": "brown", "black": "black", "white": "white", "cream": "white", "gray": "gray", "grey": "gray",
    "silver": "gray",
}  # fmt: skip
"""Each colour word and the one that the memory uses for it."""

SYNONYMS = (
    {"sofa", "couch", "settee", "loveseat"},
    {"mug", "coffee mug"},
    {"cup", "coffee cup", "teacup"},
    {"tv", "television", "television set", "tv set", "telly"},
    {"refrigerator", "fridge"},
    {"stove", "cooker", "range"},
    {"wardrobe", "closet", "armoire"},
    {"nightstand", "bedside table", "night table"},
    {"trash can", "trash bin", "bin", "garbage can", "waste bin", "wastebasket", "dustbin", "rubbish bin", "trash"},
    {"plant", "potted plant", "houseplant", "house plant", "pot plant"},
    {"laptop", "notebook computer", "laptop computer"},
    {"monitor", "screen", "computer screen", "computer monitor", "display"},
    {"bookshelf", "bookcase", "book shelf"},
    {"rug", "carpet"},
    {"picture", "painting", "picture frame"},
    {"cushion", "pillow", "throw pillow"},
    {"phone", "cell phone", "mobile phone", "smartphone", "cellphone", "mobile", "telephone"},
    {"bathtub", "tub", "bath", "bath tub"},
    {"sink", "washbasin", "wash basin", "basin"},
    {"computer mouse", "mouse"},
    {"teddy bear", "teddy", "stuffed bear"},
    {"remote control", "remote", "tv remote"},
    {"dresser", "chest of drawers"},
    {"counter", "kitchen counter", "countertop", "worktop"},
    {"football", "soccer ball"},
    {"toilet", "wc", "loo"},
    {"kettle", "teakettle", "electric kettle"},
    {"pan", "frying pan", "skillet"},
    {"pot", "saucepan", "cooking pot"},
    {"box", "cardboard box", "carton"},
    {"shelf", "shelves"},
    {"lamp", "light"},
    {"handbag", "purse"},
    {"backpack", "rucksack"},
    {"clock", "alarm clock", "wall clock"},
    {"sneaker", "trainer"},
    {"desk", "writing desk"},
    {"armchair", "easy chair"},
    {"office chair", "desk chair", "swivel chair"},
)
"""Words for one thing, for homes; which of them a detector uses differs."""

NEAR_SYNONYMS = (
    {"mug", "cup"},
    {"stove", "oven"},
    {"refrigerator", "freezer"},
    {"picture", "poster"},
    {"shelf", "rack", "bookshelf"},
    {"handbag", "bag"},
    {"sneaker", "shoe"},
    {"ball", "football"},
    {"sofa", "armchair"},
    {"table", "desk"},
    {"wardrobe", "cupboard"},
    {"nightstand", "side table"},
    {"pot", "pan"},
    {"tv", "monitor"},
)
"""Words for things that differ, though people say one for another."""

ROOM_KINDS = {
    "kitchen": "kitchen", "living room": "living room", "livingroom": "living room", "lounge": "living room",
    "sitting room": "living room", "bedroom": "bedroom", "bed room": "bedroom", "bathroom": "bathroom",
    "bath room": "bathroom", "restroom": "bathroom", "washroom": "bathroom", "office": "office", "study": "office",
    "home office": "office", "dining room": "dining room", "hallway": "hallway", "hall": "hallway",
    "corridor": "hallway", "entrance": "hallway", "guest room": "guest room",
}  # fmt: skip
"""What people call rooms, and the name that the memory gives them."""

_IRREGULAR = {
    "knives": "knife", "shelves": "shelf", "bookshelves": "bookshelf", "leaves": "leaf", "loaves": "loaf",
    "scarves": "scarf", "mice": "mouse", "people": "person", "children": "child", "feet": "foot", "teeth": "tooth",
    "men": "man", "women": "woman", "shoes": "shoe", "buses": "bus", "lenses": "lens", "irises": "iris", "gases": "gas",
    "heroes": "hero", "tomatoes": "tomato", "potatoes": "potato", "mangoes": "mango", "canvases": "canvas",
    "halves": "half", "wolves": "wolf", "geese": "goose",
}  # fmt: skip
_NO_PLURAL = frozenset(
    "glasses scissors trousers jeans clothes pants series news bus gas lens iris canvas chess".split()
)


def singular(noun: str) -> str:
    """Return the singular of a phrase's last word; words that are singular stay."""
    *first, last = noun.split() or [""]
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last in _NO_PLURAL or len(last) <= 3 or not last.endswith("s") or last.endswith(("ss", "us", "is")):
        pass
    elif last.endswith("ies"):
        last = last[:-3] + "y"
    elif last.endswith(("ches", "shes", "xes", "sses", "zzes")):
        last = last[:-2]
    else:
        last = last[:-1]
    return " ".join([*first, last])


def plural(noun: str) -> str:
    """Return the plural of a singular phrase, by the last word."""
    *first, last = noun.split() or [""]
    for many, one in _IRREGULAR.items():
        if one == last and many != "shoes":
            return " ".join([*first, many])
    if last in _NO_PLURAL:
        pass
    elif last.endswith(("s", "sh", "ch", "x", "z")):
        last += "es"
    elif last.endswith("y") and len(last) > 1 and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return " ".join([*first, last])


def synonyms(noun: str) -> frozenset[str]:
    """Return the words for the same thing, without the word itself."""
    return _others(noun, SYNONYMS)


def near_synonyms(noun: str) -> frozenset[str]:
    """Return the words for nearly the same thing, and all words for those."""
    found: set[str] = set()
    for word in {noun} | synonyms(noun):
        for other in _others(word, NEAR_SYNONYMS):
            found |= {other} | synonyms(other)
    return frozenset(found - {noun} - synonyms(noun))


def _others(noun: str, groups: tuple[set[str], ...]) -> frozenset[str]:
    found: set[str] = set()
    for group in groups:
        if noun in group:
            found |= group
    return frozenset(found - {noun})


def known_as(words: str, labels: Collection[str]) -> str | None:
    """Return the label among ``labels`` that the words of a person mean; None if there is none.

    A more general word ("table" where only "coffee table" and "dining table" are known) is returned as it is.
    """
    forms = [words, singular(words)]
    for form in forms:
        if form in labels:
            return form
    # The plurals of what is known are surer than guessed singulars; and a detector may say "books" itself.
    by_number = {form: label for label in sorted(labels, reverse=True) for form in (singular(label), plural(label))}
    for form in forms:
        if form in by_number:
            return by_number[form]
    for form in forms:
        others = sorted(synonyms(form) & set(labels))
        if others:
            return others[0]
    for form in forms:
        if any(label.endswith(" " + form) for label in labels):
            return form
    return None


def nearly_known_as(words: str, labels: Collection[str]) -> str | None:
    """Return the label among ``labels`` of a thing that is often taken for what the words mean; None if none is."""
    for form in (words, singular(words)):
        others = sorted(near_synonyms(form) & set(labels))
        if others:
            return others[0]
    return None


def label_matches(asked: str, label: str) -> float:
    """Return how well a label fits what is asked for: 1 for the same, less for a longer name of it, 0 for others."""
    if asked == label:
        return 1.0
    return 0.9 if label.endswith(" " + asked) else 0.0
