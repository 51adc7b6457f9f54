"""A few lines of each make that has a ready-made file type, as its description has them, and what comes out."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A file of that type: what its first readings are, by sensor, and the time of the first row."""

    text: str
    first: str
    values: dict[str, list[float]]
    rows: int = 2
    units: dict[str, str] = field(default_factory=dict)


def noaa(pairs: int, tail: str) -> str:
    """Two rows of SURFRAD or SOLRAD: time in seven columns, the zenith, values with flags, `tail`."""
    lines = [" Anywhere", "   40.00   105.00 1500 m version 1"]
    for minute in (0, 1):
        cells = " ".join(f"{number + minute}.5 0" for number in range(pairs - 1)) + " -9999.9 1"
        lines.append(f" 2026   2  1  2  0  {minute}  0.0{minute}7  91.{minute} {cells}{tail}")
    return "\n".join(lines)


EPW_ROW = (
    "2005,1,1,{hour},60,?9?9?9,{dry},1.0,80,101000,0,0,300,0,0,0,0,0,0,0,180,3.5,5,5,9999,77777,9,"
    "999999999,10,0.1,0,88,0.2,0,1"
)
QUARTERS = [f"{at // 4:02}:{at % 4 * 15:02}-{(at + 1) // 4 % 24:02}:{(at + 1) % 4 * 15:02}" for at in range(96)]
NDBC = "{} {} 120  2.0   MM  1.07  MM    MM  999 1007.7  10.7 999.0    MM  99.0 99.00"
KNMI = "# BRON: KONINKLIJK NEDERLANDS METEOROLOGISCH INSTITUUT (KNMI)\n# T = Temperatuur (in 0.1 graden)\n"
ROWS = "2026-01-13 00:00:00,1.5\n2026-01-13 01:00:00,2.5\n"

CASES = {
    "Campbell TOA5": Case(
        '"TOA5","Mast","CR1000","1","Std.32","CPU:a.CR1","2","Ten"\n"TIMESTAMP","RECORD","WS_Avg","T_Avg"\n'
        '"TS","RN","m/s","degC"\n"","","Avg","Avg"\n"2026-01-13 00:10:00",7,5.5,"NAN"\n"2026-01-13 0'
        '0:20:00",8,6.5,1.5\n',
        "2026-01-13T00:10:00Z",
        {"RECORD": [7, 8], "WS_Avg": [5.5, 6.5], "T_Avg": [1.5]},
        units={"WS_Avg": "m/s", "T_Avg": "degC"},
    ),
    "NRG LOGR": Case(
        "NRG Systems Data Logger\nModel Number:\t9431\nTime Zone:\t-5\n\nData\nTimestamp\tCh1_Avg_W/"
        "m^2\tCh2_Avg_deg_C\n"
        "2026-01-13T00:10:00Z\t5.5\t1.25\n2026-01-13T00:20:00Z\t6.5\t1.5\n",
        "2026-01-13T00:10:00Z",
        {"Ch1_Avg_W/m^2": [5.5, 6.5], "Ch2_Avg_deg_C": [1.25, 1.5]},
    ),
    "NRG SymphoniePRO": Case(
        "SymphoniePRO Desktop Application\nVersion:\t3\n\nExport Parameters\nSite Number:\t1234\nTim"
        "e Zone:\tUTC-5:00\n\n"
        "Data\nTimestamp\tCh1_Anem_60.00m_N_Avg_m/s\tCh2_Vane_58.00m_N_Avg_deg\n2026-01-13 00:10:00\t5.5\t120\n"
        "2026-01-13 00:20:00\t6.5\t130\n",
        "2026-01-13T05:10:00Z",
        {"Ch1_Anem_60.00m_N_Avg_m/s": [5.5, 6.5], "Ch2_Vane_58.00m_N_Avg_deg": [120, 130]},
    ),
    "Windographer text": Case(
        "Created 13-01-2026 14:36 by Windographer 4.1\n\nLatitude = N 53.0\n\nDate/Time\tSpeed\tDirection\t\n"
        "2026-01-13 00:10\t5.5\t9999\n2026-01-13 00:20\t6.5\t130\n",
        "2026-01-13T00:10:00Z",
        {"Speed": [5.5, 6.5], "Direction": [130]},
    ),
    "ZX lidar (ZephIR)": Case(
        "CSV Converter: 1.0,Unit: 300\nReference,Time and Date,Horizontal Wind Speed (m/s) at 100m,TI at 100m\n"
        "1,09/01/2026 00:10:00,5.5,9999\n2,09/01/2026 00:20:00,9998,0.1\n",
        "2026-01-09T00:10:00Z",
        {"Reference": [1, 2], "Horizontal Wind Speed (m/s) at 100m": [5.5], "TI at 100m": [0.1]},
    ),
    "Onset HOBO (HOBOware)": Case(
        '"Plot Title: Cellar"\n"#","Date Time, GMT+01:00","Temp, °C (LGR S/N: 1)"\n1,01/13/26 11:00:00 AM,19.5\n'
        "2,01/13/26 12:00:00 PM,-888.88\n3,01/13/26 01:00:00 PM,20.5\n",
        "2026-01-13T10:00:00Z",
        {"#": [1, 2, 3], "Temp, °C (LGR S/N: 1)": [19.5, 20.5]},
        rows=3,
    ),
    "Onset HOBOlink": Case(
        '"Line#","Date","Temperature (S-THB 1:1),*C,Roof"\n1,01/13/26 11:00:00,19.5\n2,01/13/26 11:05:00,-888.88\n'
        "3,01/13/26 11:10:00,20.5\n",
        "2026-01-13T11:00:00Z",
        {"Temperature (S-THB 1:1),*C,Roof": [19.5, 20.5]},
        rows=3,
    ),
    "Davis WeatherLink": Case(
        "                  Temp     Hi    THW   Heat\n  Date    Time     Out   Temp  Index    D-D\n"
        "-----------------------------------------\n"
        + "".join(f"31/12/99   {at}:0{at}p   1{at}.5    ---   1{at}.0  0.10{at}\n" for at in range(1, 10)),
        "1999-12-31T13:01:00Z",
        {"Temp Out": [11.5, 12.5, 13.5], "THW Index": [11, 12, 13], "Heat D-D": [0.101, 0.102, 0.103]},
        rows=9,
    ),
    "NDBC standard meteorological": Case(
        "#YY  MM DD hh mm WDIR WSPD GST  WVHT   DPD   APD MWD   PRES  ATMP  WTMP  DEWP  VIS  TIDE\n"
        "#yr  mo dy hr mn degT m/s  m/s     m   sec   sec deg    hPa  degC  degC  degC  nmi    ft\n"
        + NDBC.format("2026 01 13", "00 50")
        + "\n"
        + NDBC.format("2026 01 13", "01 50"),
        "2026-01-13T00:50:00Z",
        {"WDIR": [120, 120], "WSPD": [2, 2], "WVHT": [1.07, 1.07], "PRES": [1007.7, 1007.7], "ATMP": [10.7, 10.7]},
        units={"WDIR": "degT", "WVHT": "m"},
    ),
    "KNMI hourly": Case(
        KNMI
        + "# STN,YYYYMMDD,   HH,   FH,    T\n\n  260,20260113,    1,   30,     \n  260,20260113,   24,   40,  -12\n",
        "2026-01-13T01:00:00Z",
        {"FH": [30, 40], "T": [-12]},
    ),
    "KNMI daily": Case(
        KNMI
        + "# FG = Etmaalgemiddelde windsnelheid (in 0.1 m/s)\n# STN,YYYYMMDD,   FG,   TG\n  260,20260113,   30,     \n"
        + "  260,20260114,   40,  -12\n",
        "2026-01-13T00:00:00Z",
        {"FG": [30, 40], "TG": [-12]},
    ),
    "Met Éireann": Case(
        "Station Name: SOMEWHERE\nStation Height: 40 M \nLatitude:53.3  ,Longitude: -8.8\n\ndate: - 00 to 00 utc\n\n"
        "date,ind,maxtp,ind,rain\n13-jan-2026,0,7.5,0, \n14-jan-2026,0,8.5,0,1.5\n",
        "2026-01-13T00:00:00Z",
        {"ind": [0, 0], "maxtp": [7.5, 8.5], "ind (2)": [0, 0], "rain": [1.5]},
    ),
    "SMA Sunny Beam": Case(
        "sep=;\nVersion CSV|Tool SunnyBeam|Linebreaks CR/LF|Delimiter semicolon|Decimalpoint comma|P"
        "recision 3|TZO=1\n\n"
        ";SN: 1\n;SB 3000\n;1\n;E-Total\n;Counter\nDD.MM.YYYY HH:mm;kWh\n03.02.2026 00:00;\n03.02.2026 00:10;46609,1\n",
        "2026-02-02T23:10:00Z",
        {"E-Total": [46609.1]},
    ),
    "SMA Sunny Explorer": Case(
        "sep=;\nVersion CSV1|Tool SE|Linebreaks CR/LF|Delimiter semicolon|Decimalpoint comma|Precision 3\n\n"
        ";SB 3000\n;1\n;Total yield\n;Counter\nDD/MM/yyyy HH:mm;kWh\n"
        "13/02/2026 00:00;46609,0\n13/02/2026 00:05;46609,1\n",
        "2026-02-13T00:00:00Z",
        {"Total yield": [46609.0, 46609.1]},
    ),
    "SMA inverter (web page)": Case(
        "sep=,\nVersion CSV3|Tool WebUI|Linebreaks CR/LF|Delimiter comma\n\n,STP\n,SUNNY\n,1\n,Metering.TotWhOut\n"
        ",Analog\nDD.MM.YYYY hh:mm:ss,[Wh]\n03.02.2026 00:00:00,41\n03.02.2026 00:05:00,NaN\n",
        "2026-02-03T00:00:00Z",
        {"Metering.TotWhOut": [41]},
    ),
    "Fronius Solar.web": Case(
        "Date and time,Energy | Inverter 1,Total system\n[dd.MM.yyyy HH:mm],[Wh],[Wh]\n03.02.2026 10:00,5.5,6\n"
        "03.02.2026 10:05,6.5,7\n13.02.2026 10:05,6.5,7\n",
        "2026-02-03T10:00:00Z",
        {"Energy | Inverter 1": [5.5, 6.5, 6.5], "Total system": [6, 7, 7]},
        rows=3,
        units={"Total system": "Wh"},
    ),
    "SolarEdge (CSV)": Case(
        "Time,System Production (W),Consumption (W)\n01/13/2026 10:00,5.5,6\n01/13/2026 10:15,6.5,7\n",
        "2026-01-13T10:00:00Z",
        {"System Production (W)": [5.5, 6.5], "Consumption (W)": [6, 7]},
    ),
    "SolarEdge energy (JSON)": Case(
        json.dumps(
            {
                "energy": {
                    "timeUnit": "HOUR",
                    "unit": "Wh",
                    "values": [
                        {"date": "2026-01-13 09:00:00", "value": None},
                        {"date": "2026-01-13 10:00:00", "value": 5.5},
                    ],
                }
            }
        ),
        "2026-01-13T10:00:00Z",
        {"energy": [5.5]},
        units={"energy": "Wh"},
    ),
    "SolarEdge power (JSON)": Case(
        json.dumps(
            {
                "power": {
                    "timeUnit": "QUARTER_OF_AN_HOUR",
                    "unit": "W",
                    "values": [
                        {"date": "2026-01-13 10:00:00", "value": 5.5},
                        {"date": "2026-01-13 10:15:00", "value": 6.5},
                    ],
                }
            }
        ),
        "2026-01-13T10:00:00Z",
        {"power": [5.5, 6.5]},
        units={"power": "W"},
    ),
    "Grafana, one column per series": Case(
        '"Time","kWh.first","temp"\n2026-01-13 00:00:00,5.5,\n2026-01-13 01:00:00,6.5,undefined\n202'
        "6-01-13 02:00:00,7,1\n",
        "2026-01-13T00:00:00Z",
        {"kWh.first": [5.5, 6.5, 7], "temp": [1]},
        rows=3,
    ),
    "Grafana, series as rows": Case(
        "Series;Time;Value\nindoor;2026-01-13T00:00:00+01:00;5.5\nindoor;2026-01-13T01:00:00+01:00;null\n"
        "outdoor;2026-01-13T01:00:00+01:00;1.5\n",
        "2026-01-12T23:00:00Z",
        {"indoor": [5.5], "outdoor": [1.5]},
        rows=3,
    ),
    "Chronograf": Case(
        '"time","kWh.mean_value"\n"2026-01-13T00:00:00.000+01:00","5.5"\n"2026-01-13T01:00:00.000+01:00","6.5"\n',
        "2026-01-12T23:00:00Z",
        {"kWh.mean_value": [5.5, 6.5]},
    ),
    "InfluxDB annotated CSV": Case(
        "#group,false,false,true,true,false,false,true,true,true\n"
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\n"
        "#default,mean,,,,,,,,\n,result,table,_start,_stop,_time,_value,_field,_measurement,host\n"
        ",,0,2026-01-13T00:00:00Z,2026-01-14T00:00:00Z,2026-01-13T10:00:00Z,5.5,temp,room,a\n"
        ",,0,2026-01-13T00:00:00Z,2026-01-14T00:00:00Z,2026-01-13T11:00:00Z,6.5,temp,room,a\n"
        ",,1,2026-01-13T00:00:00Z,2026-01-14T00:00:00Z,2026-01-13T10:00:00Z,40,hum,room,a\n",
        "2026-01-13T10:00:00Z",
        {"temp": [5.5, 6.5], "hum": [40]},
        rows=3,
    ),
    "NOAA SURFRAD": Case(
        noaa(20, ""),
        "2026-01-02T00:00:00Z",
        {"zen": [91.0, 91.1], "dw_solar": [0.5, 1.5], "uw_solar": [1.5, 2.5]},
        units={"dw_solar": "W/m^2"},
    ),
    "NOAA SOLRAD": Case(
        noaa(5, " 0.1 0.2 0.3 0.4"),
        "2026-01-02T00:00:00Z",
        {"zen": [91.0, 91.1], "dw_psp": [0.5, 1.5], "std_uvb": [0.4, 0.4]},
    ),
    "NOAA USCRN, 5 minutes": Case(
        "53131 20260113 1610 20260113 0910      3 -111.17   32.24 -9999.0     0.0    296 0     4.4 C 0    90 0 -99.000 "
        "-9999.0    24 0   0.78 0\n53131 20260113 1615 20260113 0915      3 -111.17   32.24     3.3 "
        "    0.0    183 0     "
        "4.0 C 0    87 0 -99.000 -9999.0  1182 0   0.36 0\n",
        "2026-01-13T16:10:00Z",
        {"AIR_TEMPERATURE": [3.3], "SOLAR_RADIATION": [296, 183], "WETNESS": [24, 1182], "WIND_1_5": [0.78, 0.36]},
    ),
    "USGS RDB": Case(
        "# U.S. Geological Survey\n#\nagency_cd\tsite_no\tdatetime\ttz_cd\t1_00060\t1_00060_cd\n5s\t"
        "15s\t20d\t6s\t14n\t10s\n"
        "USGS\t01234567\t2026-01-13 00:00\tEST\t191\tA\nUSGS\t01234567\t2026-01-13 00:15\tEST\tIce\tA\n"
        "USGS\t01234567\t2026-01-13 00:30\tEST\t213\tA\n",
        "2026-01-13T00:00:00Z",
        {"1_00060": [191, 213]},
        rows=3,
    ),
    "Solinst Levelogger": Case(
        "Serial_number:\n1234\nProject ID:\nCreek\nLocation:\nWell 1\nLEVEL\nUNIT: m\nDate,Time,ms,LEVEL,TEMPERATURE\n"
        "2026/01/13,13:00:00,0,-0.25,21.5\n2026/01/13,13:15:00,0,-0.5,20.5\n",
        "2026-01-13T13:00:00Z",
        {"LEVEL": [-0.25, -0.5], "TEMPERATURE": [21.5, 20.5]},
    ),
    "Van Essen Diver (MON)": Case(
        "Data file for DataLogger.\n====\nFILENAME   : A.MON\n[Logger settings]\n  Location =Well\n[Data]\n2\n"
        + "".join(
            f"2026/01/{day} {at}:00:00.0     10{at}.2    {at}.5\n" for day in range(10, 20) for at in range(10, 24)
        )
        + "END OF DATA FILE OF DATALOGGER FOR WINDOWS\n",
        "2026-01-10T10:00:00Z",
        {"level": [1010.2, 1011.2, 1012.2], "temperature": [10.5, 11.5, 12.5]},
        rows=140,
    ),
    "Van Essen Diver (CSV)": Case(
        "Data file for DataLogger.\n====\nFILENAME   : A.CSV\n[Logger settings]\n  Location =Well\n\n\n"
        "Date/time,Pressure[cm],Temperature[°C]\n2026/01/13 12:00:00,1015.2,18.5\n2026/01/13 12:15:00,1016.2,18.6\n",
        "2026-01-13T12:00:00Z",
        {"Pressure[cm]": [1015.2, 1016.2], "Temperature[°C]": [18.5, 18.6]},
    ),
    "Enel Distribuzione, quarter hours": Case(
        "Giorno;"
        + ";".join(QUARTERS)
        + "\n"
        + "".join(f'"{day}/02/2026";' + '"0,25";' * 96 + "\n" for day in ("03", "04")),
        "2026-02-03T00:00:00Z",
        {"energy": [0.25, 0.25, 0.25]},
        units={"energy": "kWh"},
    ),
    "Fluvius (English)": Case(
        "From (date);From (time);Until (date);Until (time);EAN code;Meter;Meter type;Register;Volume;Unit;Status\n"
        '03/02/2026;06:00:00;03/02/2026;07:00:00;="54";1;Digital;Offtake;0,5;m³;Read\n'
        '03/02/2026;06:00:00;03/02/2026;07:00:00;="54";1;Digital;Offtake;5,5;kWh;Read\n',
        "2026-02-03T06:00:00Z",
        {"Offtake m³": [0.5], "Offtake kWh": [5.5]},
    ),
    "Fluvius (Dutch)": Case(
        "Van (datum);Van (tijdstip);Tot (datum);Tot (tijdstip);EAN-code;Meter;Metertype;Register;Vol"
        "ume;Eenheid;Status\n"
        '03-02-2026;06:00:00;03-02-2026;06:15:00;="54";1;Digitaal;Afname Dag;0,5;kWh;Uitgelezen\n'
        '03-02-2026;06:15:00;03-02-2026;06:30:00;="54";1;Digitaal;Afname Dag;;kWh;Geen verbruik\n'
        '03-02-2026;06:15:00;03-02-2026;06:30:00;="54";1;Digitaal;Injectie Dag;1,5;kWh;Uitgelezen\n',
        "2026-02-03T06:00:00Z",
        {"Afname Dag kWh": [0.5], "Injectie Dag kWh": [1.5]},
        rows=3,
    ),
    "Fluvius (Dutch, 2021)": Case(
        "Van datum;Van tijdstip;Tot datum;Tot tijdstip;EAN;Meter;Metertype;Register;Volume;Eenheid;Validatiestatus\n"
        '03-02-2021;06:00:00;03-02-2021;06:15:00;="54";1;Digitaal;Afname Dag;0,5;kWh;Uitgelezen\n'
        '03-02-2021;06:15:00;03-02-2021;06:30:00;="54";1;Digitaal;Afname Dag;1,5;kWh;Uitgelezen\n',
        "2021-02-03T06:00:00Z",
        {"Afname Dag kWh": [0.5, 1.5]},
    ),
    "EnergyPlus weather (EPW)": Case(
        "LOCATION,SOMEWHERE,-,NLD,IWEC,062400,52.30,4.77,1.0,-2.0\nDESIGN CONDITIONS,0\nTYPICAL/EXTREME PERIODS,0\n"
        "GROUND TEMPERATURES,0\nHOLIDAYS/DAYLIGHT SAVINGS,No,0,0,0\nCOMMENTS 1,a\nCOMMENTS 2,b\n"
        "DATA PERIODS,1,1,Data,Sunday,1/1,12/31\n"
        + "\n".join(EPW_ROW.format(hour=hour, dry=dry) for hour, dry in ((1, "5.5"), (2, "99.9"), (3, "6.5"))),
        "2005-01-01T00:00:00Z",
        {"dry bulb temperature": [5.5, 6.5], "dew point temperature": [1, 1, 1]},
        rows=3,
    ),
    "PVGIS hourly (CSV)": Case(
        "Latitude (decimal degrees):\t45.0\nLongitude (decimal degrees):\t8.0\nRadiation database:\tPVGIS-SARAH\n\n"
        "time,Gb(i),T2m\n20260113:0010,0.0,3.44\n20260113:0110,1.5,2.94\n\nGb(i): Beam irradiance (W/m2)\n",
        "2026-01-13T00:10:00Z",
        {"Gb(i)": [0, 1.5], "T2m": [3.44, 2.94]},
    ),
    "PVGIS hourly (JSON)": Case(
        json.dumps(
            {
                "inputs": {"location": {"latitude": 45.0}, "meteo_data": {"radiation_db": "PVGIS-SARAH2"}},
                "outputs": {
                    "hourly": [{"time": "20260113:0010", "T2m": 3.5}, {"time": "20260113:0110", "T2m": 2.5}],
                },
                "meta": {},
            }
        ),
        "2026-01-13T00:10:00Z",
        {"T2m": [3.5, 2.5]},
    ),
    "NREL MIDC, raw (MST)": Case(
        ",Year,DOY,MST,Global Horiz [W/m^2]\n0,2026,13,0,-2.5\n0,2026,13,1,-1.5\n0,2026,13,1010,1.5\n",
        "2026-01-13T07:00:00Z",
        {"Global Horiz [W/m^2]": [-2.5, -1.5, 1.5]},
        rows=3,
    ),
    "DWD CDC": Case(
        "STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor\n          3;2026011300;    5;   5.7;  83.0;eor\n"
        "          3;2026011301;    5;-999.0;  84.0;eor\n",
        "2026-01-13T00:00:00Z",
        {"QN_9": [5, 5], "TT_TU": [5.7], "RF_TU": [83, 84]},
    ),
}
