// The registry of the images. No account with a password; the identities may pull.
param location string
param name string
param tags object
param large bool
param pullers array

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  // checkov:skip=CKV_AZURE_139: the workflow pushes from outside; only identities may pull
  // checkov:skip=CKV_AZURE_163: deploy.sh scans every image before it is released
  // checkov:skip=CKV_AZURE_166: deploy.sh scans every image before it is released
  name: name
  location: location
  tags: tags
  sku: { name: large ? 'Premium' : 'Basic' }
  properties: { adminUserEnabled: false, anonymousPullEnabled: false }
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in pullers: {
  name: guid(registry.id, principal, 'AcrPull')
  scope: registry
  properties: {
    principalId: principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')
  }
}]

output name string = registry.name
output host string = registry.properties.loginServer
