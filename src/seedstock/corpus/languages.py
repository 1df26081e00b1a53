"""Names of languages: one spelling for each, whoever wrote it.

Identifiers, data sets and people write ``eng``, ``en``, ``en-US``, ``eng_Latn`` or ``__label__en`` for one language.
Here it is ``en``: the shortest code of BCP 47 (two letters of ISO 639-1 where there are such, else three of ISO
639-3), without script and region. A member of a macrolanguage that is its common standard goes by the macrolanguage's
code (``arb`` is ``ar``, ``cmn`` is ``zh``), as identifiers have it.
"""

from __future__ import annotations

import re

# ISO 639-3 (and 639-2/T) to ISO 639-1.
_SHORT = """
aar:aa abk:ab afr:af aka:ak amh:am ara:ar arg:an asm:as ava:av ave:ae aym:ay aze:az bak:ba bam:bm bel:be ben:bn
bis:bi bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce chu:cu chv:cv cor:kw cos:co cre:cr cym:cy dan:da
deu:de div:dv dzo:dz ell:el eng:en epo:eo est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff
gla:gd gle:ga glg:gl glv:gv grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig
ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka kau:kr
kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt
ltz:lb lub:lu lug:lg mah:mh mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr
nde:nd ndo:ng nep:ne nld:nl nno:nn nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa pli:pi pol:pl por:pt
pus:ps que:qu roh:rm ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so
sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th
tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wln:wa wol:wo
xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
# ISO 639-2/B, as libraries write them.
_BIBLIOGRAPHIC = """
alb:sqi arm:hye baq:eus bur:mya chi:zho cze:ces dut:nld fre:fra geo:kat ger:deu gre:ell ice:isl mac:mkd mao:mri
may:msa per:fas rum:ron slo:slk tib:bod wel:cym
"""
# Standard members of macrolanguages, and codes that were withdrawn or have another common spelling.
_MEANS = """
als:sq arb:ar ayr:ay azb:az azj:az bcc:bal cmn:zh ekk:et esk:ik fat:ak fil:tl fuv:ff gaz:om gug:gn hbs:sr ike:iu
in:id iw:he ji:yi jw:jv khk:mn kmr:ku knc:kr kng:kg lvs:lv mo:ro mol:ro nb:no nob:no npi:ne ory:or pbt:ps pbu:ps
pes:fa plt:mg pnb:lah prs:fa quy:qu quz:qu sh:sr src:sc swh:sw tw:ak twi:ak uzn:uz ydd:yi zlm:ms zsm:ms
"""
SHORT, BIBLIOGRAPHIC, MEANS = (
    dict(pair.split(":") for pair in pairs.split()) for pairs in (_SHORT, _BIBLIOGRAPHIC, _MEANS)
)
# A code, with script, region and variants where they are written: en, en-us, zh_hans, de-1996, sr-latn-rs.
_TAG = re.compile(r"([a-z]{2,3})([-_]([a-z]{2}|[a-z]{4}|[0-9]{3}|[0-9a-z]{5,8}|[0-9][0-9a-z]{3}))*")


def normalise(label: str) -> str:
    """The one spelling of a language's code: ``eng_Latn``, ``en-GB``, ``__label__en`` and ``EN`` are ``en``.

    What is no code of two or three letters (a programming language, ``English``) comes back in lower case.
    """
    label = label.strip().lower().removeprefix("__label__")
    tag = _TAG.fullmatch(label)
    if not tag:
        return label
    code = BIBLIOGRAPHIC.get(tag[1], tag[1])
    code = MEANS.get(code, code)
    return SHORT.get(code, code)
