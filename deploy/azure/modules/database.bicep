// PostgreSQL for the ledger, in the virtual network, with Entra accounts only.
param location string
param name string
param tags object
param large bool
param subnet string
param network string
param admin object

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = {
  name: '${name}.private.postgres.database.azure.com'
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = {
  parent: zone
  name: 'net'
  location: 'global'
  properties: { registrationEnabled: false, virtualNetwork: { id: network } }
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: large ? 'Standard_D4ds_v5' : 'Standard_B1ms', tier: large ? 'GeneralPurpose' : 'Burstable' }
  properties: {
    version: '16'
    storage: { storageSizeGB: large ? 256 : 32, autoGrow: 'Enabled' }
    backup: { backupRetentionDays: large ? 35 : 14, geoRedundantBackup: large ? 'Enabled' : 'Disabled' }
    highAvailability: { mode: large ? 'ZoneRedundant' : 'Disabled' }
    authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled', tenantId: subscription().tenantId }
    network: { delegatedSubnetResourceId: subnet, privateDnsZoneArmResourceId: zone.id, publicNetworkAccess: 'Disabled' }
  }
  dependsOn: [link]
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2024-08-01' = {
  parent: server
  name: 'cattle'
  properties: { charset: 'UTF8', collation: 'en_US.utf8' }
}

resource administrator 'Microsoft.DBforPostgreSQL/flexibleServers/administrators@2024-08-01' = {
  parent: server
  name: admin.id
  properties: { principalName: admin.name, principalType: admin.type, tenantId: subscription().tenantId }
}

output host string = server.properties.fullyQualifiedDomainName
