#!/usr/bin/env python3
"""Prints what an installation of main.bicep costs a month, by the public price list of Azure (no account is needed):

  prices.py small                          prices.py large --region northeurope --currency USD
  prices.py small --stored 500 --worker-hours 40 --logs 5

--stored is GB of footage and results, --worker-hours are hours in which one worker counts, --logs are GB a month. A part
whose price is not found, or not unique, is named with its filter; there is no sum then, and the exit status is 1. Not
in it: requests, traffic out of Azure, backups beyond the free size, taxes, discounts.
"""
import argparse
import datetime
import json
import os
import sys
import urllib.parse
import urllib.request

ADDRESS = os.environ.get("PRICES_URL", "https://prices.azure.com/api/retail/prices")  # a test has its own
HOURS = 730  # of a month, as in Azure's calculator


def parts(size, stored, hours, logs):
    """Lists (name, quantity in a month, fields of the price list) of what main.bicep makes for a size."""
    large = size == "large"
    plan = "Azure App Service Premium v3 Plan - Linux" if large else "Azure App Service Standard Plan - Linux"
    database, sku = "Azure Database for PostgreSQL", "ZRS" if large else "LRS"
    registry, apps = "Premium" if large else "Basic", "Azure Container Apps"
    seconds = hours * 3600
    return [
        ("API", HOURS * (3 if large else 1),
         {"serviceName": "Azure App Service", "productName": plan, "skuName": "P1 v3" if large else "S1"}),
        # The large one has a standby of the same size.
        ("database", HOURS * (2 if large else 1),
         {"serviceName": database, "armSkuName": "Standard_D4ds_v5" if large else "Standard_B1ms"}),
        ("database, disk", 2 * 256 if large else 32,
         {"serviceName": database, "productName": "Az DB for PostgreSQL Flexible Server Storage", "meterName": "Storage Data Stored"}),
        ("footage", stored,
         {"serviceName": "Storage", "productName": "Blob Storage", "skuName": f"Hot {sku}", "meterName": f"Hot {sku} Data Stored"}),
        ("workers, 2 cores", seconds * 2, {"serviceName": apps, "meterName": "Standard vCPU Active Usage"}),
        ("workers, 4 GiB", seconds * 4, {"serviceName": apps, "meterName": "Standard Memory Active Usage"}),
        ("broker, half a core", HOURS * 3600 * 0.5, {"serviceName": apps, "meterName": "Standard vCPU Active Usage"}),
        ("broker, 1 GiB", HOURS * 3600, {"serviceName": apps, "meterName": "Standard Memory Active Usage"}),
        ("registry", HOURS / 24, {"serviceName": "Container Registry", "meterName": f"{registry} Registry Unit"}),
        ("logs", logs, {"serviceName": "Log Analytics", "meterName": "Pay-as-you-go Data Ingestion"}),
    ]


def ask(fields, region, currency):
    """Returns every item of the price list with these fields, from all pages."""
    fields = {**fields, "armRegionName": region, "priceType": "Consumption"}
    condition = " and ".join(f"{k} eq '{v}'" for k, v in fields.items())
    url, items = f"{ADDRESS}?{urllib.parse.urlencode({'currencyCode': currency, '$filter': condition})}", []
    while url:
        with urllib.request.urlopen(url, timeout=30) as answer:
            page = json.load(answer)
        items += page["Items"]
        url = page.get("NextPageLink")
    return condition, items


def price(items):
    """Returns the one item that is paid from the first unit on; None when there is none, or several that differ."""
    first = [i for i in items if not i["tierMinimumUnits"] or i["retailPrice"] == 0]
    paid = [i for i in first if i["retailPrice"]] or [i for i in items if i["retailPrice"]]
    return paid[0] if paid and len({(i["retailPrice"], i["unitOfMeasure"]) for i in paid}) == 1 else None


def units(text):
    """Returns how many units an item is for: 100 for "100 GB", 1 for "1 Hour"."""
    number = text.split()[0].upper()
    return float(number[:-1]) * 1000 if number.endswith("K") else float(number)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("size", choices=["small", "large"])
    p.add_argument("--region", default="westeurope")
    p.add_argument("--currency", default="EUR")
    p.add_argument("--stored", type=float, default=None)
    p.add_argument("--worker-hours", type=float, default=None)
    p.add_argument("--logs", type=float, default=None)
    a = p.parse_args()
    large = a.size == "large"
    stored = a.stored if a.stored is not None else (20_000 if large else 500)
    hours = a.worker_hours if a.worker_hours is not None else (2_000 if large else 40)
    logs = a.logs if a.logs is not None else (100 if large else 5)
    total, missing = 0.0, []
    print(f"{a.size}, {a.region}, {datetime.date.today()}: {stored:g} GB stored, {hours:g} worker hours, {logs:g} GB of logs a month")
    print(f"| part | quantity | unit | price, {a.currency} | since | a month, {a.currency} |\n| --- | --- | --- | --- | --- | --- |")
    for name, quantity, fields in parts(a.size, stored, hours, logs):
        condition, items = ask(fields, a.region, a.currency)
        found = price(items)
        if found is None:
            missing.append(f"{name}: {len(items)} prices for {condition}")
            print(f"| {name} | {quantity:g} | ? | ? | ? | ? |")
            continue
        cost = quantity / units(found["unitOfMeasure"]) * found["retailPrice"]
        total += cost
        print(f"| {name} | {quantity:g} | {found['unitOfMeasure']} | {found['retailPrice']:g} | {found['effectiveStartDate'][:10]} | {cost:.2f} |")
    for line in missing:
        print(f"prices: no single price: {line}", file=sys.stderr)
    if missing:
        sys.exit("prices: no sum, because parts are missing; look these up in Azure's calculator")
    print(f"| sum | | | | | {total:.2f} |")


try:
    main()
except (OSError, KeyError, ValueError) as e:
    sys.exit(f"prices: cannot read the price list at {ADDRESS}: {e}; it needs no account, only the network")
