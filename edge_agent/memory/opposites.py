"""Words that exclude each other: a question with one is never that with another of its group.

Kept by hand, in English. A word belongs here when exchanging it turns the answer around, however
like the two questions look to an embedder; words that merely differ are left to the verifier.
"""

from __future__ import annotations

from typing import Final

from edge_agent.memory.wording import stem, word_set

_GROUPS: Final = """
monday tuesday wednesday thursday friday saturday sunday
january february march april may june july august september october november december
spring summer autumn/fall winter
morning noon afternoon evening night
today tomorrow yesterday
north south east west
northern southern eastern western
euro dollar pound yen yuan franc rupee peso ruble krona
celsius fahrenheit kelvin
metre/meter kilometre/kilometer/km mile foot/feet inch centimetre/centimeter/cm millimetre/mm yard
gram kilogram/kg pound ounce ton/tonne
litre/liter gallon pint millilitre/ml
second minute hour day week month year decade century
red green blue yellow black white orange purple pink brown grey/gray
english german french spanish italian chinese japanese russian arabic portuguese dutch latin
mother father sister brother son daughter uncle aunt grandmother grandfather
husband wife
king queen prince princess
man/men woman/women
boy girl
director/directed/direct producer/produced/produce screenwriter/scriptwriter composer/composed
director cinematographer editor/edited composer producer screenwriter
author/wrote/written/writer illustrator publisher/published/publish translator
capital population currency language area president mayor anthem flag
born/birth/birthplace died/death/die buried/burial
birthday deathday
founded/founder dissolved
genre sport occupation religion colour/color
largest/biggest/greatest smallest/tiniest/least
large/big small/little/tiny
long short
longest shortest
tall short
tallest shortest
highest lowest
high low
higher lower
maximum/max minimum/min
most least/fewest
more less/fewer
best worst
better worse
good bad/poor
oldest youngest/newest
old young new
older younger newer
fastest slowest
fast/quick slow
hot cold
hottest coldest
warm cool
wet dry
heavy light
heaviest lightest
hard soft
hard easy
easiest hardest
dark bright/light
strong weak
strongest weakest
rich poor
cheap/cheapest expensive/dearest/costliest
deep shallow
deepest shallowest
wide narrow
thick thin
early late
earliest latest
first last/final
next previous
before after
above below
over under
inside outside
indoor outdoor
up down
upstairs downstairs
left right
on off
in out
front back/rear
top bottom
open close/closed/shut
opening closing
start/begin/began/started stop/end/ended/finish/finished
starting ending
arrive/arrival depart/departure/leave
enter exit
entrance exit
push pull
increase/increased/raise/raised/rise decrease/decreased/reduce/reduced/lower/lowered/fall/drop
gain lose/loss
win/won lose/lost
profit loss
buy/bought/purchase sell/sold
borrow lend
give take
send receive
import export
upload download
install uninstall/remove
add subtract remove/delete
multiply divide
plus minus
sum difference product quotient
create destroy/delete
build demolish
enable disable
activate deactivate
connect disconnect
lock unlock
load unload
accept reject/refuse/decline
allow/allowed/permit/permitted forbid/forbidden/prohibit/prohibited/ban/banned
allow prevent
include exclude
agree disagree
approve disapprove/reject
love/like hate/dislike
pass fail
succeed fail
success failure
true false
right wrong
correct incorrect/wrong
yes no
always never
all none
every no
everybody nobody
everyone none
everything nothing
some no
many few
with without
for against
pro con
advantage/pro/benefit disadvantage/drawback/con
strength weakness
safe dangerous/unsafe
legal illegal
possible impossible
healthy unhealthy/sick
alive dead
awake asleep
full empty
clean dirty
public private
male female
input output
client server
host guest
teacher student
doctor patient
employer employee
parent child
buyer seller
winner loser
ally enemy
friend enemy
attack defend
predator prey
ancestor descendant
ascending descending
ascend descend
horizontal vertical
positive negative
even odd
odd prime
acid base
solid liquid gas
sunrise sunset
dawn dusk
freeze/freezing melt/melting boil/boiling
inhale exhale
encrypt decrypt
encode decode
compress decompress
freezes boils
charge discharge
deposit withdraw
remember forget
save spend
hire fire
attract repel
expand shrink/contract
cause prevent
hello goodbye
brand generic
""".strip()

_PREFIXES: Final = ("un", "dis", "non", "in", "im", "ir", "il", "de", "mis", "anti")
_OUTSIDE: Final = frozenset({"in", "out", "on", "off", "for", "over", "with", "may", "up", "down"})
"""Members that are function words elsewhere; they are compared as they stand."""
NEGATIONS: Final = word_set(
    "not no never none neither nor without cannot can't don't doesn't didn't isn't aren't wasn't "
    "weren't won't wouldn't shouldn't couldn't hasn't haven't hadn't nobody nothing nowhere except "
    "hardly barely rarely seldom lack lacks lacking refuse refuses fail fails unlike other else"
)


def _read() -> dict[str, frozenset[tuple[int, int]]]:
    """Return for each word, and for its stem, the groups it is in, and its place in each."""
    places: dict[str, set[tuple[int, int]]] = {}
    for group, line in enumerate(_GROUPS.splitlines()):
        for place, member in enumerate(line.split()):
            for word in member.split("/"):
                for form in {word, word if word in _OUTSIDE else stem(word)}:
                    places.setdefault(form, set()).add((group, place))
    return {word: frozenset(found) for word, found in places.items()}


_PLACES: Final = _read()


def exclude_each_other(first: str, second: str) -> bool:
    """Return whether two words, as they stand or by their stems, exclude each other."""
    if first == second:
        return False
    one, other = _of(first), _of(second)
    if one & other:
        return False
    groups = dict(one)
    if any(groups.get(group, place) != place for group, place in other):
        return True
    short, long = sorted((first, second), key=len)
    return (
        any(long == prefix + short for prefix in _PREFIXES)
        or (short.removesuffix("ful") != short and long == f"{short.removesuffix('ful')}less")
        or (long.removesuffix("less") != long and short == f"{long.removesuffix('less')}ful")
    )


def _of(word: str) -> frozenset[tuple[int, int]]:
    return _PLACES.get(word) or _PLACES.get(word if word in _OUTSIDE else stem(word), frozenset())
