// The one secret that is no identity: the password at the MQTT broker.
param location string
param name string
param tags object
param privateNetwork bool
param readers array
@secure()
param mqttPassword string

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
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
    publicNetworkAccess: 'Enabled'
    networkAcls: { defaultAction: privateNetwork ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }
}

resource password 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'mqtt-password'
  properties: { value: mqttPassword, contentType: 'text/plain' }
}

// Key Vault Secrets User.
resource users 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in readers: {
  name: guid(vault.id, principal, 'secrets')
  scope: vault
  properties: {
    principalId: principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  }
}]

output mqttPasswordUri string = password.properties.secretUri
