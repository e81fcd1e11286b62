"""The demo's script: who walks where and when, as data; `walkthrough.py` draws it.

Outlines are polygons around a person in pixels of the original picture. Times are seconds, `x` is the
middle of the head as a share of the picture's width, `head_px` is the height of the head at 1080p.
"""

from dataclasses import dataclass

WIDTH_PX, HEIGHT_PX, RATE_HZ = 1920, 1080, 25
SECONDS = 16.0

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """A person cut out of a picture: the outline, the middle of the head, and the head's height in pixels.

    Photographs end at the waist: trousers of one colour are drawn below it, `legs` wide from left to right.
    """

    sample: str
    outline: tuple[Point, ...]
    head: Point
    head_height: int
    legs: tuple[int, int]
    legs_rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through the zone.

    `turn` is how far the head and body turn to either side (0 to 1); `dim` darkens as if under a canopy in
    the middle of the way; `blur_px` is the motion blur at its end.
    """

    figure: Figure
    starts_s: float
    ends_s: float
    x_from: float
    x_to: float
    head_px_from: float
    head_px_to: float
    turn: float = 0.25
    dim: float = 0.0
    blur_px: float = 0.0


ENROLLED_SAMPLE = "obama"

MAN_ARMS_FOLDED = Figure(
    "obama3",
    (
        *((600, 400), (612, 300), (680, 232), (765, 215), (850, 235), (910, 310), (925, 400), (915, 480)),
        *((900, 560), (860, 640), (870, 690), (1000, 740), (1130, 790), (1170, 950), (1228, 1190)),
        *((1190, 1290), (1120, 1370), (1140, 1640), (1160, 2060), (1105, 2095), (1100, 2333), (365, 2333)),
        *((360, 2090), (290, 2060), (318, 1640), (335, 1400), (270, 1290), (240, 1200), (280, 1000)),
        *((310, 800), (440, 740), (590, 690), (650, 640), (615, 540), (590, 470)),
    ),
    head=(760, 435),
    head_height=430,
    legs=(370, 1095),
    legs_rgb=(17, 18, 30),
)
MAN_IN_DARK_SUIT = Figure(
    "biden",
    (
        *((395, 420), (405, 250), (450, 150), (560, 98), (680, 120), (745, 210), (757, 330), (745, 460)),
        *((700, 570), (720, 600), (900, 650), (969, 760), (969, 1150), (925, 1260), (900, 1350), (870, 1700)),
        *((840, 2050), (815, 2204), (140, 2204), (125, 1420), (75, 1290), (55, 1000), (45, 800), (70, 665)),
        *((250, 600), (390, 540)),
    ),
    head=(575, 340),
    head_height=480,
    legs=(150, 805),
    legs_rgb=(8, 8, 10),
)
ASTRONAUT = Figure(
    "astronaut",
    (
        *((153, 95), (165, 50), (195, 20), (230, 10), (270, 25), (296, 60), (298, 95), (285, 120)),
        *((272, 140), (290, 175), (303, 215), (305, 250), (345, 285), (362, 350), (394, 345), (445, 366)),
        *((487, 425), (503, 511), (60, 511), (30, 487), (20, 414), (40, 320), (62, 259), (115, 230)),
        *((112, 195), (125, 165), (155, 148), (185, 145), (180, 125), (160, 120)),
    ),
    head=(225, 90),
    head_height=160,
    legs=(75, 330),
    legs_rgb=(196, 84, 44),
)
OFFICER = Figure(
    "grace_hopper",
    (
        *((152, 120), (170, 85), (185, 50), (255, 22), (330, 45), (355, 85), (372, 100), (370, 165)),
        *((377, 200), (365, 250), (355, 300), (335, 322), (400, 350), (483, 378), (511, 420), (511, 599)),
        *((0, 599), (5, 497), (55, 383), (150, 350), (198, 330), (175, 300), (158, 240), (152, 195)),
        (160, 160),
    ),
    head=(262, 190),
    head_height=300,
    legs=(20, 490),
    legs_rgb=(14, 15, 26),
)

# Several at once; the astronaut and the officer cross; the man on the list comes third, alone and then
# beside the officer; everybody grows, turns a little, and leaves the picture before the end.
WALKS: tuple[Walk, ...] = (
    Walk(MAN_IN_DARK_SUIT, 0.3, 7.0, 0.30, 0.12, 70, 300, turn=0.2, blur_px=6),
    Walk(ASTRONAUT, 1.2, 8.2, 0.62, 0.36, 60, 230, turn=0.3, dim=0.35),
    Walk(OFFICER, 3.0, 10.5, 0.42, 0.80, 60, 260, turn=0.25, dim=0.2, blur_px=4),
    Walk(MAN_ARMS_FOLDED, 6.0, 13.0, 0.55, 0.40, 62, 300, turn=0.25, dim=0.3, blur_px=5),
    Walk(MAN_IN_DARK_SUIT, 9.5, 15.6, 0.70, 0.88, 66, 260, turn=0.25, dim=0.4),
)
