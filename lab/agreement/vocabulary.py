"""Words from which pairs of answers are generated."""

from __future__ import annotations

from typing import Final

Truths = tuple[tuple[str, ...], ...]

# Each entry of these lists is one truth; its wordings are ways to name it.
LABELS: Final[dict[str, Truths]] = {
    "kind of animal": (
        ("dog", "small dog", "brown dog"), ("cat", "tabby cat", "cat with grey fur"),
        ("horse", "brown horse"), ("sheep", "flock of sheep"), ("rabbit", "wild rabbit"), ("seagull", "gull"),
        ("goat", "mountain goat"), ("giraffe", "tall giraffe"), ("zebra", "plains zebra"),
        ("brown bear", "bear"), ("heron", "grey heron"),
    ),
    "kind of vehicle": (
        ("truck", "lorry", "delivery truck"), ("bus", "city bus", "double decker bus"), ("car", "small car"),
        ("bicycle", "bike"), ("motorcycle", "motorbike"), ("van", "white van"), ("tram", "yellow tram"),
        ("ambulance", "an emergency ambulance"), ("fire engine", "fire truck"), ("tractor", "farm tractor"),
    ),
    "kind of shop": (
        ("bakery", "bakery shop"), ("pharmacy", "chemist's pharmacy"),
        ("bookshop", "bookshop with used books"), ("hardware store", "tool and hardware store"),
        ("flower shop", "florist flower shop"), ("toy store", "toy shop"), ("shoe store", "shoe shop"),
        ("grocery store", "small grocery"), ("jewelry store", "jewelry and watch shop"),
        ("barber shop", "barber's"), ("music store", "guitar music shop"),
    ),
    "material": (
        ("wood", "oak wood", "wooden boards"), ("steel", "stainless steel"), ("glass", "clear glass"),
        ("plastic", "white plastic"), ("brick", "red brick"), ("leather", "brown leather"),
        ("paper", "paper sheets"), ("concrete", "grey concrete"), ("cotton", "cotton fabric"),
        ("marble", "white marble"),
    ),
    "sport": (
        ("tennis", "a tennis match"), ("soccer", "football", "a soccer game"),
        ("basketball", "indoor basketball"), ("skiing", "downhill skiing"), ("surfing", "surfing on waves"),
        ("wrestling", "a wrestling match"), ("cycling", "a cycling race"), ("ice hockey", "hockey"),
        ("volleyball", "beach volleyball"),
    ),
    "color": (
        ("red", "bright red"), ("blue", "dark blue"), ("green", "light green"),
        ("yellow", "a shade of yellow"), ("black", "plain black"), ("white", "mostly white"),
        ("grey", "gray", "silver gray"), ("brown", "dark brown"), ("orange", "bright orange"),
        ("pink", "pale pink"), ("purple", "deep purple"),
    ),
    "language": (
        ("French",), ("German",), ("Italian",), ("Spanish",), ("Polish",), ("Dutch",), ("Arabic",),
        ("Korean",),
    ),
    "weather": (
        ("rain", "rainy", "heavy rain"), ("sunny", "clear and sunny"), ("snow", "snowy", "light snow"),
        ("fog", "foggy"), ("cloudy", "overcast and cloudy"), ("windy", "strong wind, windy"),
    ),
    "dish": (
        ("lentil stew", "stew of lentils"), ("mushroom risotto", "risotto with mushrooms"),
        ("pumpkin soup", "soup made of pumpkin"), ("apple pie", "slice of apple pie"),
        ("pad thai", "noodles, pad thai"), ("fried rice", "egg fried rice"),
        ("beef stew", "stew of beef and carrots"), ("cheese pizza", "pizza with cheese"),
        ("chicken curry", "curry with chicken"), ("green salad", "salad with green leaves"),
    ),
    "fruit": (
        ("apple", "red apple"), ("banana", "ripe banana"), ("pear", "green pear"), ("cherry", "cherries"),
        ("orange", "peeled orange"), ("grape", "bunch of grapes"), ("lemon", "lemon slices"),
        ("peach", "ripe peach"),
    ),
}  # fmt: skip
TOWNS: Final = (
    "Lyon, France", "Porto, Portugal", "Bergen, Norway", "Ghent, Belgium", "Graz, Austria", "Turin, Italy",
    "Leeds, England", "Boston, Massachusetts", "Denver, Colorado", "Osaka, Japan", "Lima, Peru",
    "Cork, Ireland",
)  # fmt: skip
SIGHTS: Final = (
    "Saint Martin Church", "Market Square", "North Bridge", "Castle Hill", "Old Harbour", "Central Station",
    "Botanical Garden", "City Museum", "River Tower", "Queen's Theatre", "Eagle Peak", "Victory Arch",
)  # fmt: skip
FIRST_NAMES: Final = (
    "Anna", "Peter", "Maria", "Johan", "Laura", "David", "Elena", "Marcus", "Sofia", "Henry", "Clara",
    "Oscar",
)  # fmt: skip
LAST_NAMES: Final = (
    "Keller", "Novak", "Brown", "Fischer", "Rossi", "Lindgren", "Moreau", "Walsh", "Tanaka", "Silva",
    "Becker",
)  # fmt: skip
OBJECTS: Final = (
    "car", "bird", "chair", "bottle", "bicycle", "person", "boat", "window", "flower", "sheep", "lamp", "cup",
    "box", "dog", "sign", "tree", "book", "candle", "balloon", "plate", "horse", "backpack", "traffic light",
)  # fmt: skip
PLACES: Final = (
    "in the street", "on the table", "on the grass", "by the wall", "next to the fence", "in the room",
    "near the door", "on the shelf", "at the beach", "in front of the house",
)  # fmt: skip
ADJECTIVES: Final = (
    "red", "old", "small", "wooden", "white", "large", "metal", "blue", "round", "green", "striped", "tall",
    "shiny", "dark", "plastic", "yellow", "narrow",
)  # fmt: skip
# A question, and the statements that mean yes and no.
PREDICATES: Final = (
    ("Is the {o} open?", "the {o} is open", "the {o} is closed"),
    ("Is the {o} on the left?", "the {o} is on the left side", "the {o} is on the right side"),
    ("Is there a {o} in the image?", "there is a {o} {p}", "there is no {o} {p}"),
    ("Is the {o} {a}?", "the {o} is {a}", "the {o} is not {a}, it is {b}"),
    ("Is the {o} damaged?", "the {o} is damaged on one side", "the {o} does not appear damaged"),
    ("Does the {o} belong to a shop?", "the {o} belongs to a shop", "the {o} does not belong to a shop"),
    ("Can the {o} be moved?", "the {o} can be moved", "the {o} cannot be moved"),
    ("Are there any people {p}?", "there are two people {p}", "there are no people {p}"),
    ("Is this a {a} {o}?", "this is a {a} {o}", "this isn't a {a} {o}; it is a {b} one"),
    ("Is the {o} full?", "the {o} is full", "the {o} is empty"),
    ("Is it safe to use the {o}?", "it is safe to use the {o}", "it is unsafe to use the {o}"),
    ("Is the {o} bigger than the {q}?", "the {o} is bigger than the {q}", "the {o} is smaller than the {q}"),
    ("Do you see a {o} {p}?", "I can see a {o} {p}", "I do not see a {o} {p}"),
    ("Is anyone holding a {o}?", "a man is holding a {o}", "nobody is holding a {o}"),
    ("Has the {o} been sold?", "the {o} has been sold", "the {o} has not been sold yet"),
)  # fmt: skip
# What leaves it open whether a statement is true.
LEFT_OPEN: Final = (
    "it is difficult to say whether {}", "it is hard to tell if {}", "whether {} would depend on the rules",
    "more information is needed to know whether {}", "to be certain that {}, you would need to check it",
    "it is not possible to confirm that {}", "it depends on the situation whether {}",
)  # fmt: skip
SIGN_WORDS: Final = (
    "stop", "exit", "open", "fresh", "coffee", "market", "sale", "danger", "north", "private", "hotel",
    "garden", "parking", "bakery", "lucky", "golden", "river", "station", "royal", "express", "museum",
    "harbor", "winter", "music", "city", "pizza", "school", "summer", "union", "falcon", "silver", "maple",
    "crown", "pioneer",
)  # fmt: skip
# A question, what it is about, the units with their sizes, and the range of values.
MEASURES: Final = (
    (
        "How tall is the {o}?", "the height of the {o}", (("cm", 1.0), ("m", 100.0), ("centimeters", 1.0)),
        20, 400,
    ),
    (
        "How much does the {o} weigh?", "the weight of the {o}",
        (("kg", 1.0), ("g", 0.001), ("kilograms", 1.0)), 1, 90,
    ),
    ("What is the price of the {o}?", "the price of the {o}", (("$", 1.0), ("dollars", 1.0)), 1, 300),
    ("What year is on the {o}?", "the year on the {o}", (("", 1.0),), 1900, 2024),
    ("What number is on the {o}?", "the number on the {o}", (("", 1.0),), 1, 99),
    ("What is the speed on the display?", "the speed on the display", (("km/h", 1.0),), 10, 180),
    ("What percentage is shown for {w}?", "the share of {w}", (("%", 1.0), ("percent", 1.0)), 1, 99),
    (
        "What is the temperature on the {o}?", "the temperature on the {o}",
        (("°C", 1.0), ("degrees", 1.0)), 2, 95,
    ),
)  # fmt: skip
# A fact of a scene in several wordings; {0} and {1} are two words that may differ between scenes.
EVENTS: Final[Truths] = (
    (
        "a {0} {1} stands in the foreground", "in the foreground there is a {1}, which is {0}",
        "a {0}-looking {1} up front",
    ),
    (
        "two people walk past a {0} {1}", "a couple passes by a {1} that is {0}",
        "there are pedestrians near a {0} {1}",
    ),
    ("the background has a {0} {1}", "behind everything a {0} {1} can be seen", "a {1} ({0}) further back"),
    ("a child plays with a {0} {1}", "a kid holds a {1} of {0} color", "the young boy enjoys his {0} {1}"),
    (
        "a {0} {1} lies on the ground", "someone dropped a {0} {1} on the floor",
        "on the ground is a {1}, {0} and dusty",
    ),
    ("a sign near the {1} is {0}", "next to the {1} is a {0} sign", "the {0} sign beside the {1}"),
    (
        "the sky is clear above the {0} {1}", "the {0} {1} under a blue sky",
        "sunny weather over a {1} that looks {0}",
    ),
    ("a woman carries a {0} {1}", "a lady with a {1} in {0}", "a {0} {1} in the hands of a woman"),
)  # fmt: skip
NAMED_EVENTS: Final[Truths] = (
    ("the place is probably {0}", "this looks like {0}", "{0} can be recognised here"),
    ("the man resembles {1}", "it could be {1} who stands there", "the person is {1}, as the badge shows"),
    ("a poster of {1} at {0}", "{0} has a poster that shows {1}", "the poster announces {1} in {0}"),
)  # fmt: skip
# A cause or a meaning, in several wordings.
REASONS: Final[Truths] = (
    ("the battery is empty and must be charged", "it has no power left: charge the battery"),
    ("the cable is broken near the plug", "a damaged cable at the plug interrupts the current"),
    ("the disk is full and the file cannot be saved", "saving the file fails because no disk space is left"),
    ("the road ahead is closed for construction", "construction work blocks the road further on"),
    (
        "the joke is that the cat ignores its expensive bed",
        "humor comes from a cat that prefers a box to its bed",
    ),
    ("the plant gets too little water and dries out", "its leaves are dry because nobody watered the plant"),
    ("the paint peels because of moisture in the wall", "a wet wall makes the paint come off"),
    ("the sign warns drivers of deer crossing", "deer may cross here, the sign warns"),
    ("the tire is flat after hitting a nail", "a nail went into the tire and let the air out"),
    ("the graph compares sales of two years", "sales of this year and last year are compared in the chart"),
    ("the dog waits for its owner to come home", "an animal sits at the door until its owner returns"),
    ("the instructions say to mix flour and butter first", "start by mixing the butter with the flour"),
)  # fmt: skip
OPEN_QUESTIONS: Final = (
    "Describe the image.", "What is happening in this picture?", "Please describe the scene briefly.",
)  # fmt: skip
WHY_QUESTIONS: Final = (
    "Explain this picture.", "Why did this happen?", "What is this about?", "Explain the meaning of this.",
)  # fmt: skip
FILLERS: Final = (
    "The {a} {o} {p} adds detail to the scene.", "There is also a {a} {o} {p}.",
    "In the background, a {a} {o} is visible.", "The lighting suggests that it is late afternoon.",
    "Nearby, several people are walking {p}.", "It seems to be a calm day.",
    "The surroundings include a {a} {o} and a {b} {q}.", "This is a common sight in many cities.",
    "The photo was likely taken outdoors.", "Let me know if you need more details!",
    "Overall, the image gives a peaceful impression.", "A {a} {o} and 2 {b} {q}s complete the picture.",
    "The {o} is {a}, while the {q} is {b}.",
)  # fmt: skip
PREAMBLES: Final = (
    "", "", "", "", "Based on the image, ", "In the image, ", "From what I can see, ", "It appears that ",
    "Looking at the picture, ", "Sure! ", "According to the photo, ",
)  # fmt: skip
REFUSALS: Final = (
    "I cannot determine this from the image.", "I'm sorry, but I can't see that clearly.", "unknown",
    "It is difficult to tell without more information.", "The image does not provide enough information.",
    "It is not clearly visible in the picture.", "As an AI, I am unable to identify that.",
)  # fmt: skip
