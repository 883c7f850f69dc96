"""Words that exclude each other in a picture: what replaces an object, an attribute or a relation.

A sort is a set of co-hyponyms, cut into clusters of words that captioners use of one and the same thing (a
"hill" is another's "mountain", a "coat" another's "jacket"). Only words of different clusters exclude each
other. WordNet's siblings alone do not: it has "lake" beside "pond", and "skier" beside "man". The first word
of a cluster is the one offered; the rest, and all of their hyponyms in WordNet, are only recognised. Facts of
the language, of no data set.
"""

from __future__ import annotations

from knowclip.knowledge.words import lexicon

NOUNS = """
adult: man guy gentleman male | woman lady female
child: boy | girl
parent: father dad daddy | mother mom mum
heir: son | daughter
couple: groom | bride
athlete: skier snowboarder | surfer wakeboarder windsurfer | swimmer diver | skateboarder skater rollerblader
  | cyclist biker bicyclist motorcyclist rider jockey | gymnast dancer | golfer | climber hiker
worker: police_officer policeman officer soldier guard | firefighter fireman | chef cook waiter
  | nurse doctor | clown mime | cowboy | musician guitarist singer | farmer
animal: dog puppy wolf fox | cat kitten | horse pony donkey mule | cow bull calf ox cattle bison | sheep lamb
  | goat | bear panda | elephant | giraffe | zebra | monkey ape | pig | rabbit bunny | camel | lion tiger |
  deer
bird: duck goose swan | seagull gull pigeon | eagle hawk owl | chicken rooster hen | parrot | penguin
worn: hat cap helmet beanie headband hood visor bandana turban | scarf tie necktie collar | backpack bag purse
  | dress skirt gown | necklace chain bracelet | mask
torso: shirt t-shirt top sweater sweatshirt jacket coat vest blouse jersey hoodie tank_top tee-shirt suit
  uniform
  costume outfit blazer pullover cardigan robe | hat cap helmet | dress gown skirt | scarf tie | apron
swimwear: bathing_suit swimsuit bikini | raincoat | wedding_dress | snowsuit
pair: shorts pants jeans trousers trunks leggings slacks | goggles sunglasses glasses eyeglasses | glove
  mitten
feet: boot shoe sneaker sandal slipper sock | goggles | glove mitten
vehicle: car van jeep taxi suv automobile cab vehicle sedan | truck pickup | bus | train locomotive
  | bicycle bike motorcycle motorbike scooter moped dirtbike | boat canoe kayak raft ship sailboat yacht
  | airplane plane jet helicopter aircraft | tractor | wagon cart carriage
ridden: skateboard | surfboard bodyboard wakeboard | snowboard ski sled | kayak | rollerblade
ball: ball baseball football basketball volleyball tennis_ball soccer_ball balloon | frisbee disc disk
  | bone | shoe | rope string | stick branch log twig | umbrella | towel
racket: racket racquet | bat | golf_club | hockey_stick
instrument: guitar banjo ukulele | piano keyboard | drum | trumpet horn saxophone trombone | violin fiddle
  cello
  | flute clarinet | accordion
device: camera camcorder | laptop computer | umbrella parasol | book magazine newspaper notebook | guitar
  | flag banner | ladder
phone: phone cellphone telephone cell_phone mobile | sandwich burger | apple | hammer
container: basket | bucket pail | bottle jar can | bowl plate dish | cup glass mug | box crate bin carton
  | suitcase luggage briefcase
cutlery: knife | fork | spoon
furniture: chair seat stool armchair bench | bed mattress crib | couch sofa | table desk counter
  | ladder | shelf bookcase
food: pizza | sandwich burger hamburger | cake cupcake pie dessert | banana | apple pear | hot_dog sausage
  | donut doughnut | carrot | ice_cream | salad | soup
ground: grass lawn turf | snow ice slush | sand dirt mud gravel soil dust earth | water
road: street road highway sidewalk path trail track lane pavement driveway walkway alley crosswalk roadway
  curb way
  | bridge | beach shore coast seashore shoreline | roof rooftop | stage | field meadow pasture grassland
water_body: lake ocean sea river pond stream creek pool swimming_pool bay canal puddle | desert | forest
  woods wood
  jungle | parking_lot | hospital
land: field meadow pasture lawn yard park grassland garden playground backyard | beach shore coast seashore
  shoreline
  | desert | forest woods wood jungle park garden backyard yard | street road highway sidewalk path trail
  alley
  | parking_lot | hospital
height: mountain hill cliff slope hillside mountainside ridge dune rock boulder ledge mountaintop
  | bridge | tower | tree trunk | building house skyscraper
building: house building cottage apartment home hut cabin barn store shop restaurant hotel | tent canopy |
  train
  | church cathedral temple | cave
barrier: fence railing gate rail wall hedge barrier | ladder stair staircase step stairway | bench chair | car
  | tree bush shrub plant
plant: tree bush shrub plant palm | flower rose daisy tulip | fence | tower
hand: hand arm finger fist wrist palm thumb elbow | foot leg knee ankle toe | head face chin forehead
  | shoulder back
mouth: mouth teeth lip tongue jaw face beak | ear | tail | paw foot
play: swing | slide | seesaw | trampoline | ramp
"""
"""``sort: cluster | cluster ...``. A word in two sorts has the alternatives of both that neither clusters."""

PERSONS = frozenset("adult child parent heir couple athlete worker".split())
"""Sorts of persons."""
PEOPLE = frozenset(
    "people crowd team couple family audience staff crew class band orchestra choir squad troop public "
    "pair trio duo male female driver hitter batter catcher pitcher boarder biker wakeboarder kayaker "
    "bmxer punk hipster asian african american european indian native other".split()
)
"""Nouns of people that WordNet has as groups, as adjectives or not at all."""

BARE = frozenset("skin complexion".split())
SUITED = frozenset(
    "astronaut spaceman wizard witch ninja clown mermaid superhero elf fairy robot alien ghost".split()
)
"""People whose colour is that of their suit."""
COLOURED = lexicon.COLOURS | frozenset("dark light pale fair tanned".split())
"""What is said of people's skin and hair."""

ADJECTIVES = """
colour: red maroon crimson orange pink magenta | blue navy teal turquoise cyan purple violet aqua
  | green lime olive teal turquoise | yellow gold golden tan beige cream orange blond blonde
  | brown tan beige maroon golden gold brunette bronze copper orange khaki blond blonde | black gray grey
  navy dark
  | white gray grey silver beige cream light pale
pattern: striped | plaid checkered checked | spotted dotted polka-dot | flowered floral
count: two | three | four | five | six
material: wooden wood | metal metallic iron steel chrome chain-link | brick | plastic rubber | glass |
  cardboard paper
size: big large huge giant enormous great massive oversized | small little tiny miniature mini
height: tall high | short low
age: young youthful | old elderly aged older
use: old aged older worn | new
cover: rocky stony wooded | sandy | grassy wooded | snowy icy snow-covered wooded | muddy
weather: sunny | rainy | snowy
water: wet soaked soaking soggy | dry
dirt: dirty muddy dusty | clean
fill: empty vacant | full crowded packed
gate: open | closed shut
hair: curly wavy | straight | bald
length: long | short
light: dark | bright
season: indoor | outdoor
sex: male | female
mood: happy smiling laughing cheerful | sad crying unhappy
"""
"""As of nouns. Shared words ("tan" is near to yellow and to brown) exclude neither cluster."""

GAMES = frozenset(
    "baseball football basketball volleyball softball soccer tennis golf hockey rugby cricket lacrosse "
    "polo racquetball".split()
)  # fmt: skip
"""Balls and games that, without a determiner, are the game."""
ACTIVITIES = frozenset(("play", "jump", "skip"))
"""Verbs that make one activity with a bare noun behind them: "play ball", "jump rope"."""

NATURAL = "black white brown"
"""Colours that hair and animals have."""

MOTIONS = """
sit crouch squat perch kneel seat rest lean relax pose wait gather play splash perform float
  | lie lay sleep rest nap relax pose wait play float
  | stand wait pose lean gather play splash perform surf dance
  | walk stroll hike march stand wander cross step jog run splash play
  | run jog race sprint jump leap hop bound dash chase play hurry splash dive dance perform
  | swim wade dive splash float surf play | climb scale hike play | crawl kneel play
  | sleep nap lie lay rest relax
  | dance spin twirl perform play | kneel crouch squat sit pose wait play splash
"""
"""Postures and ways of moving, in clusters as above; what they replace needs no object of its own."""

VERBS = {
    "ride": "push pull wash", "hold": "throw kick drop", "carry": "throw kick drop", "throw": "kick eat wash",
    "catch": "kick drop wash", "kick": "carry throw eat", "push": "pull ride", "pull": "push ride",
    "drag": "push kick", "wear": "wash hold", "eat": "throw wash cook", "drink": "pour spill",
    "read": "burn tear", "chase": "lick carry", "hit": "carry catch", "climb": "paint wash",
    "play": "repair break", "open": "close", "close": "open", "lick": "kick push", "bite": "push kick",
    "wash": "break paint", "toss": "kick eat", "hug": "push kick", "kiss": "push kick", "enter": "leave",
    "leave": "enter", "watch": "ignore", "lift": "drop kick", "grab": "kick drop", "swing": "drop wash",
    "chew": "drop push", "cut": "throw paint", "cook": "throw", "paint": "break wash",
}  # fmt: skip
"""Verb with an object -> verbs that say something else of it; antonyms in WordNet are offered as well."""

PREPOSITIONS = {
    "on": "under", "on top of": "under", "under": "on top of", "underneath": "on top of",
    "beneath": "on top of", "above": "below", "over": "under", "below": "above", "behind": "in front of",
    "in front of": "behind", "inside": "outside", "outside": "inside", "into": "out of", "out of": "into",
    "onto": "off", "off": "onto", "with": "without", "near": "far from",
    "next to": "far from", "beside": "far from", "close to": "far from", "toward": "away from",
    "towards": "away from", "away from": "towards", "up": "down", "down": "up",
    "to the left of": "to the right of", "to the right of": "to the left of", "left of": "right of",
    "right of": "left of",
}  # fmt: skip
"""Preposition -> one that excludes it."""

UNCOUNTED = frozenset(
    "hair water snow grass sand food clothing furniture traffic equipment gear luggage fur makeup paint "
    "light sunlight shade protection support help wood metal glass vegetation foliage wind rain ice fire "
    "smoke headgear underwear jewelry footwear".split()
)
"""Nouns without an article in the singular."""

SETTINGS = frozenset(
    "winter summer spring autumn fall season day night morning evening afternoon noon midday midnight "
    "dusk dawn sunset sunrise twilight daytime nighttime daylight time moment weekend holiday halloween "
    "christmas easter year month week hour minute second background foreground distance midair mid-air "
    "air midst middle front side way direction view viewer unison motion flight focus".split()
)  # fmt: skip
"""Times and the like: neither do they do anything, nor is anything in front of them."""

MOVING = frozenset(
    "ride ski skate skateboard surf snowboard slide play hang drive fly fall roll look swing".split()
)
"""Verbs, beside those of posture and motion, after which a preposition says only where."""

NEVER_BEHIND = {
    **dict.fromkeys("forest jungle desert hospital pool pond garden park woods".split(), "on"),
    **dict.fromkeys("beach roof stage bridge ramp seesaw trampoline ladder table shelf floor".split(), "in"),
}
"""Noun -> the preposition that English does not say before it, although others of its sort have it."""

WORN_PLURALS = frozenset("glasses shorts jeans pants".split())
"""Plurals that are not several of their singular."""

BARE_BEHIND = {
    "in": frozenset("uniform costume bed hand midair class line".split()),
    "on": frozenset("stage foot board camera".split()),
    "off": frozenset(("camera", "road")),
    "at": frozenset("home school bat".split()),
    "by": frozenset("car bus train boat bike bicycle foot hand".split()),
}
"""Preposition -> nouns that go without a determiner behind it; others of their sort do not."""

WITHOUT = frozenset("worn torso swimwear pair feet".split())
"""Sorts that are worn: "in" them has the opposite "without"."""
OUTSIDE = frozenset("vehicle container water_body building".split())
"""Sorts of what has an outside: "in" them has the opposite "outside"."""
LEVEL = frozenset(("road", "land"))
"""Sorts that are neither climbed nor descended: "down the street" is "up the street" from the other end."""
