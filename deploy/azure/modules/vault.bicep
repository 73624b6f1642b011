// The secrets that are no identities: the password at the MQTT broker, and the keys of the ledger, which only the API reads.
param location string
param name string
param tags object
param privateNetwork bool
param subnet string
param network string
param readers array
@secure()
param mqttPassword string
param keyReader string
@secure()
param ledgerKeys string

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  // checkov:skip=CKV_AZURE_109: only with privateNetwork; a small installation has no private endpoints
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: privateNetwork ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }
}

resource password 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41: the cloud would stop at its expiry; it is changed by deploying again
  parent: vault
  name: 'mqtt-password'
  properties: { value: mqttPassword, contentType: 'text/plain' }
}

resource keys 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41: what they encrypt would be lost at their expiry; they are changed by deploying again
  parent: vault
  name: 'ledger-keys'
  properties: { value: ledgerKeys, contentType: 'text/plain' }
}

resource keyUser 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, keyReader, 'ledger-keys')
  scope: keys
  properties: {
    principalId: keyReader
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  }
}

// Key Vault Secrets User, of the password alone.
resource users 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in readers: {
  name: guid(vault.id, principal, 'mqtt-password')
  scope: password
  properties: {
    principalId: principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  }
}]

// An empty list without a private network; see storage.bicep. The API and the workers read the password through it.
var endpointKinds = privateNetwork ? ['vault'] : []

resource endpoints 'Microsoft.Network/privateEndpoints@2024-01-01' = [for kind in endpointKinds: {
  name: '${name}-${kind}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnet }
    privateLinkServiceConnections: [
      { name: kind, properties: { privateLinkServiceId: vault.id, groupIds: [kind] } }
    ]
  }
}]

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for kind in endpointKinds: {
  name: 'privatelink.vaultcore.azure.net'
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (kind, i) in endpointKinds: {
  parent: zones[i]
  name: kind
  location: 'global'
  properties: { registrationEnabled: false, virtualNetwork: { id: network } }
}]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = [for (kind, i) in endpointKinds: {
  parent: endpoints[i]
  name: kind
  properties: { privateDnsZoneConfigs: [{ name: kind, properties: { privateDnsZoneId: zones[i].id } }] }
}]

output ledgerKeysUri string = keys.properties.secretUri
output mqttPasswordUri string = password.properties.secretUri
