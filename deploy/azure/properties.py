"""Compares the names of the properties in every Bicep file below this folder with the models of Azure's packages:

    pip install pycep-parser==0.7.0 azure-mgmt-{appcontainers==5.1.0,applicationinsights==4.1.0,authorization==4.0.0}
    pip install azure-mgmt-{consumption==11.0.0,containerinstance==10.1.0,containerregistry==15.0.0,keyvault==14.1.0}
    pip install azure-mgmt-{loganalytics==14.0.0,msi==7.1.0,network==33.1.0,postgresqlflexibleservers==3.0.0}
    pip install azure-mgmt-{privatedns==2.0.0,storage==25.3.0,web==11.0.1}
    python deploy/azure/properties.py

It prints each name that a model lacks, and ends with 1 if there is one. Kinds of resources that these packages have no
model of are named and not compared. Values, expressions and versions of the API are checked by Azure's own compiler
alone."""
import enum
import importlib
import pathlib
import re
import sys

import pycep

# The package and the model of each kind.
KINDS = {
    "Microsoft.App/containerApps": ("appcontainers", "ContainerApp"),
    "Microsoft.App/managedEnvironments": ("appcontainers", "ManagedEnvironment"),
    "Microsoft.Authorization/roleAssignments": ("authorization", "RoleAssignmentCreateParameters"),
    "Microsoft.Consumption/budgets": ("consumption", "Budget"),
    "Microsoft.ContainerInstance/containerGroups": ("containerinstance", "ContainerGroup"),
    "Microsoft.ContainerRegistry/registries": ("containerregistry", "Registry"),
    "Microsoft.DBforPostgreSQL/flexibleServers": ("postgresqlflexibleservers", "Server"),
    "Microsoft.DBforPostgreSQL/flexibleServers/administrators": (
        "postgresqlflexibleservers", "AdministratorMicrosoftEntraAdd"),
    "Microsoft.DBforPostgreSQL/flexibleServers/databases": ("postgresqlflexibleservers", "Database"),
    "Microsoft.Insights/components": ("applicationinsights", "ApplicationInsightsComponent"),
    "Microsoft.KeyVault/vaults": ("keyvault", "VaultCreateOrUpdateParameters"),
    "Microsoft.KeyVault/vaults/secrets": ("keyvault", "SecretCreateOrUpdateParameters"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi", "Identity"),
    "Microsoft.Network/networkSecurityGroups": ("network", "NetworkSecurityGroup"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints": ("network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network", "PrivateDnsZoneGroup"),
    "Microsoft.Network/virtualNetworks": ("network", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "Workspace"),
    "Microsoft.Storage/storageAccounts": ("storage", "StorageAccount"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("storage", "BlobContainer"),
    "Microsoft.Storage/storageAccounts/managementPolicies": ("storage", "ManagementPolicy"),
    "Microsoft.Storage/storageAccounts/queueServices": ("storage", "QueueServiceProperties"),
    "Microsoft.Storage/storageAccounts/queueServices/queues": ("storage", "StorageQueue"),
    "Microsoft.Web/serverfarms": ("web", "AppServicePlan"),
    "Microsoft.Web/sites": ("web", "Site"),
    "Microsoft.Web/sites/slots": ("web", "Site"),
}
# What Bicep itself has beside the properties of a resource; the name is a part of the address.
BICEP = {"parent", "scope", "dependsOn", "name", "location", "tags"}


def fields(models, name):
    """The properties of a model: their names, and the model of each that has one."""
    cls = getattr(models, name)
    found = {}
    if issubclass(cls, enum.Enum):
        return found
    if hasattr(cls, "_attribute_map"):  # the older form: a name may be a path through objects that Python does not show
        for entry in cls._attribute_map.values():
            path = re.split(r"(?<!\\)\.", entry["key"])
            at = found
            for part in path[:-1]:
                at = at.setdefault(part, {})
                at = at if isinstance(at, dict) else {}
            at[path[-1].replace("\\.", ".")] = re.sub(r"^\[(.*)\]$", r"\1", entry["type"])
        return found
    cls.__new__(cls)  # fills the table of names
    hints = {}
    for base in reversed(cls.__mro__):
        hints.update(base.__dict__.get("__annotations__", {}))
    for attribute, field in cls._attr_to_rest_field.items():
        inner = re.search(r"_models\.(\w+)", str(hints.get(attribute, "")))
        mapped = re.search(r"[dD]ict\[", str(hints.get(attribute, "")))
        found[field._rest_name] = inner[1] if inner and not mapped else ""
    return found


def unknown(models, known, value, path):
    """Yields the path of each property of value that is not known."""
    if isinstance(value, list):
        for item in value:
            yield from unknown(models, known, item, path)
        return
    if not isinstance(value, dict):
        return
    if "operator" in value or "function" in value:  # a condition or a call such as concat: what it gives the property
        expression = value.get("operands") or value.get("function", {}).get("parameters") or {}
        for part in expression.values():
            yield from unknown(models, known, part, path)
        return
    for key, inner in value.items():
        key = key.strip("'")
        if key not in known:
            yield f"{path}.{key}"
            continue
        kind = known[key]
        if isinstance(kind, str):
            kind = fields(models, kind) if kind and re.fullmatch(r"\w+", kind) and hasattr(models, kind) else {}
        if kind and isinstance(inner, (dict, list)):
            yield from unknown(models, kind, inner, f"{path}.{key}")


compared, without, wrong = 0, set(), []
for file in sorted(pathlib.Path(__file__).parent.rglob("*.bicep")):
    for name, resource in pycep.BicepParser().parse(text=file.read_text()).get("resources", {}).items():
        kind = str(resource["type"]).strip("'").split("@")[0]
        if kind not in KINDS:
            without.add(kind)
            continue
        package, model = KINDS[kind]
        models = importlib.import_module(f"azure.mgmt.{package}.models")
        config = resource["config"]
        while "config" in config and "condition" in config:  # of a loop or a condition around the resource
            config = config["config"]
        config = {k: v for k, v in config.items() if k.strip("'") not in BICEP}
        wrong += unknown(models, fields(models, model), config, f"{file.name}: {name}")
        compared += 1
for kind in sorted(without):
    print(f"no model: {kind}")
for path in wrong:
    print(f"unknown: {path}")
print(f"{compared} resources compared, {len(wrong)} unknown properties")
sys.exit(1 if wrong or compared < 10 else 0)
