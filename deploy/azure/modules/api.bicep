// cloud-api as a Web App with a slot "next", into which deploy.sh brings a version before it swaps.
param location string
param name string
param tags object
param large bool
param image string
param identityId string
param identityClient string
param subnet string
param settings array
param productionSettings array
param passwordUri string
param keysUri string
param insights string
param workspace string

var variables = concat(settings, [
  { name: 'AZURE_CLIENT_ID', value: identityClient }
  { name: 'CATTLE_CLOUD_MQTT_PASSWORD', value: '@Microsoft.KeyVault(SecretUri=${passwordUri})' }
  { name: 'CATTLE_CLOUD_LEDGER_KEYS', value: '@Microsoft.KeyVault(SecretUri=${keysUri})' }
  // The platform adds TLS.
  { name: 'CATTLE_CLOUD_HTTP_INSECURE', value: 'true' }
  { name: 'CATTLE_CLOUD_HTTP_HOSTS', value: '${name}.azurewebsites.net,${name}-next.azurewebsites.net' }
  { name: 'CATTLE_CLOUD_DATA', value: '/home/cattlecounter' }
  { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights }
  { name: 'WEBSITES_PORT', value: '8080' }
  { name: 'WEBSITES_ENABLE_APP_SERVICE_STORAGE', value: 'true' }
])

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225: a large installation has zones; the plan of a small one is one instance
  name: '${name}-plan'
  location: location
  tags: tags
  kind: 'linux'
  sku: { name: large ? 'P1v3' : 'S1', capacity: large ? 3 : 1 }
  properties: { reserved: true, zoneRedundant: large }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_222: stations and people reach it over the internet
  // checkov:skip=CKV_AZURE_17: stations have tokens, people log in; both are checked by cloud-api
  // checkov:skip=CKV_AZURE_212: the plan has three instances in a large installation
  name: name
  location: location
  tags: tags
  kind: 'app,linux,container'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnet
    clientAffinityEnabled: false
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: identityClient
      alwaysOn: true
      healthCheckPath: '/readyz'
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      http20Enabled: true
      vnetRouteAllEnabled: true
      // A version that runs refuses settings that it does not know. New ones go into the slot, and the swap moves them.
      appSettings: empty(productionSettings) ? variables : productionSettings
    }
  }
}

resource next 'Microsoft.Web/sites/slots@2024-04-01' = {
  // checkov:skip=CKV_AZURE_222: as the site
  // checkov:skip=CKV_AZURE_212: as the site
  parent: site
  name: 'next'
  location: location
  tags: tags
  kind: 'app,linux,container'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnet
    clientAffinityEnabled: false
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: identityClient
      alwaysOn: true
      healthCheckPath: '/readyz'
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      http20Enabled: true
      vnetRouteAllEnabled: true
      appSettings: variables
    }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: site
  properties: { workspaceId: workspace, logs: [{ category: 'AppServiceConsoleLogs', enabled: true }] }
}

output name string = site.name
output url string = 'https://${site.properties.defaultHostName}'
