"""Which words are stressed by CAPITALS, and how they look without the stress.

Knows one word at a time; whether a whole text is in capitals is decided by the parser.
"""

from itertools import groupby


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Written in capitals by everyone, stressed or not. Words that are far more often stressed than abbreviated in
# speech (IT, WHO, AM, NO, SO, GO, ALL) are absent; consonants only (TV, BBC, GPS) need no entry.
ACRONYMS = _set(
    """
    OK TV PC NASA USA US UK EU UN UAE USSR FBI CIA NSA NATO UNESCO UNICEF OPEC ASAP FAQ DIY RSVP AKA ETA FYI VIP IQ
    ID HIV AIDS CEO CFO CTO COO CIO CPA EPA FDA FEMA IRS NBA NFL NHL MLB NCAA FIFA UEFA IOC ESPN CNN ABC NBC CBS PBS
    BBC HBO MIT UCLA USC NYU LA NYC AI ML API APP URL USB CPU GPU RAM ROM LED LCD HTML CSS SQL JSON XML PDF JPEG GIF
    IP ISP VPN LAN WIFI IOS UI UX SUV ATM ATV GPA SAT ACT PHD MBA BA MA MD DNA RNA MRI CT ER ICU EKG ECG IV
    CPR OCD ADHD PTSD COVID SARS AC DC AD BC BCE HQ HR PR PA PO RV RIP LOL OMG WTF TBA TBD IOU POV ROI SEO KPI IPO GDP
    LLC VAT UFO UPS USPS DHL IKEA NAACP NAFTA SWAT LAPD NYPD DEA DUI DIN ISO IEEE AWOL POW MIA SOS EST EDT UTC GMT
    NSA TSA FAA USDA USAF USMC NIH IMF OECD ASEAN IAEA GOP DOJ RAF ITV UFC WWE NASCAR PGA MMA IBM AMD AOL UBS KIA IMDB
    IMAX YMCA YWCA AARP ACLU OSHA EMT IVF IUD UTI GMO AED GED GRE LSAT ESL TOEFL MEP ASCII IRL IMO IDK AFK YOLO FOMO
    WWI WWII UV EDM EP ISIS IRA KGB LGBTQIA
    II III VI VII VIII IX XI XII XIII XIV XV XVI
    """
)

# Sounds written without a vowel, each letter once: SHHH, HMM, BRR, PFFT, PSST, TSK, GRR, MMM, ZZZ.
_VOWELLESS_INTERJECTIONS = _set("SH H HM M BR PFT PF PST TSK TS GR R Z S NG PH")
_APOSTROPHES = "'’"
# Marks of code, markup and control tokens ([INST], <PAD>, MAX_SIZE): such a word is not stressed, it is written so.
_CODE_MARKS = frozenset("[]<>{}|_@#$&=+~^\\/")


def is_emphasised(word: str, previous: str = "") -> bool:
    """True where a word (punctuation may cling to it) that follows the word `previous` is stressed by capitals.

    All letters of a stressed word, or of a part of it between hyphens ("un-BE-lievable", "w-WHAT"), are capitals, at
    least two of them in a row (apostrophes do not interrupt). It has no digit or mark of code, and it is no acronym:
    neither listed nor, in the Latin alphabet, without any vowel, nor the AM of a time of day.
    """
    if any(character.isdigit() or character in _CODE_MARKS for character in word):
        return False
    if previous[-1:].isdigit() and word.startswith("AM"):
        return False
    letters = "".join(character for character in word if character not in _APOSTROPHES)
    return not _is_possessive_acronym(word) and any(
        len(run) >= 2 and not _is_acronym(run)
        for part in letters.split("-")
        if part.isupper()  # has a cased letter, and none in lower case
        for run in ("".join(run) for is_letter, run in groupby(part, str.isalpha) if is_letter)
    )


def _is_acronym(letters: str) -> bool:
    if letters in ACRONYMS:
        return True
    if not letters.isascii() or any(vowel in letters for vowel in "AEIOUY"):
        return False
    return "".join(letter for letter, _ in groupby(letters)) not in _VOWELLESS_INTERJECTIONS


def _is_possessive_acronym(word: str) -> bool:
    stem = word.rstrip('.,!?;:…"”)-—')
    return len(stem) > 3 and stem[-1] == "S" and stem[-2] in _APOSTROPHES and _is_acronym(stem[:-2].lstrip("\"“(-—'‘"))


def without_emphasis(word: str, *, starts_sentence: bool) -> str:
    """The word with its capitals lowered, but for "I" and its first letter where it starts a sentence."""
    plain = "".join(_lowered(run) if is_letter and run.isupper() else run for is_letter, run in _letter_runs(word))
    if starts_sentence:
        for index, character in enumerate(plain):
            if character.isalpha():
                return plain[:index] + character.upper() + plain[index + 1 :]
    return plain


def _letter_runs(word: str) -> list[tuple[bool, str]]:
    runs = groupby(word, lambda character: character.isalpha() or character in _APOSTROPHES)
    return [(is_letter, "".join(run)) for is_letter, run in runs]


def _lowered(run: str) -> str:
    # I, I'M, I'LL, I'VE, I'D stay the pronoun; so does the I of a stammered "I-I-I WILL".
    bare = run.strip(_APOSTROPHES)
    if bare == "I" or (bare[:1] == "I" and bare[1:2] in tuple(_APOSTROPHES)):
        index = run.index("I")
        return run[: index + 1] + run[index + 1 :].lower()
    return run.lower()
