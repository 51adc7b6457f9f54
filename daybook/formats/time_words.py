"""Names of months and days of the week in the languages of the loggers, and letters that stand for a zone."""

# English, German, French, Dutch, Spanish, Italian, Portuguese, and what Scandinavians write otherwise. No name or
# abbreviation means one month here and another one there.
_MONTH_NAMES = """
jan january januar janvier januari enero gennaio janeiro jän jänner janv ene gen
|feb february februar février fevrier februari febrero febbraio fevereiro feber febr févr fevr fév fev
|mar march märz maerz mars maart marzo março marco marts mär mrz mrt
|apr april avril abril aprile avr abr
|may mai mei mayo maggio maio maj mag
|jun june juni juin junio giugno junho giu
|jul july juli juillet julio luglio julho juil lug
|aug august août aout augustus agosto aoû aou ago augusti
|sep sept september septembre septiembre setiembre settembre setembro set
|oct october oktober octobre octubre ottobre outubro okt ott out
|nov november novembre noviembre novembro
|dec december dezember décembre decembre diciembre dicembre dezembro desember dez déc dic des
"""
MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES.split("|"), start=1) for name in names.split()}

WEEKDAYS = frozenset(
    """
    mon monday tue tues tuesday wed weds wednesday thu thur thurs thursday fri friday sat saturday sun sunday
    mo montag di dienstag mi mittwoch do donnerstag fr freitag sa samstag sonnabend so sonntag
    lun lundi mar mardi mer mercredi jeu jeudi ven vendredi sam samedi dim dimanche
    ma maandag dinsdag wo woensdag donderdag vr vrijdag za zaterdag zo zondag
    lunes martes mié mie miércoles miercoles jue jueves vie viernes sáb sab sábado sabado dom domingo
    lunedì martedì mercoledì gio giovedì venerdì sabato domenica
    seg segunda ter terça qua quarta qui quinta sex sexta
    """.split()
)

# Minutes east of UTC, of abbreviations that mean nothing else anywhere. CST, IST, BST and EST do: with those alone a
# time is not read.
ZONE_LETTERS = {"wet": 0, "west": 60, "cet": 60, "mez": 60, "cest": 120, "mesz": 120, "eet": 120, "eest": 180}
