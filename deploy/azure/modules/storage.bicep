// Videos, results and unfinished uploads in a container; jobs in a queue. Identities only, no account keys.
param location string
param name string
param tags object
param large bool
param privateNetwork bool
param subnet string
param network string
param users array
param workspace string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  // checkov:skip=CKV_AZURE_35: only with privateNetwork; without it the identities' roles protect the account
  // checkov:skip=CKV_AZURE_206: a large installation has three zones; a small one saves that
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: large ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: privateNetwork ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 14 }
    containerDeleteRetentionPolicy: { enabled: true, days: 14 }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'cattlecounter'
  properties: { publicAccess: 'None' }
}

// Videos that nobody looked at for a month become cheaper. cloud-api deletes by its own retention.videos.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'old-videos'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['cattlecounter/footage/'] }
            actions: { baseBlob: { tierToCool: { daysAfterModificationGreaterThan: 30 } } }
          }
        }
      ]
    }
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' = {
  parent: account
  name: 'default'
}

resource jobs 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = [for queue in ['cattlecounter-jobs', 'cattlecounter-jobs-poison']: {
  parent: queues
  name: queue
}]

// Storage Blob Data Contributor and Storage Queue Data Contributor.
resource blobUsers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in users: {
  name: guid(account.id, principal, 'blobs')
  scope: account
  properties: {
    principalId: principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
  }
}]

resource queueUsers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in users: {
  name: guid(account.id, principal, 'queues')
  scope: account
  properties: {
    principalId: principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '974c5e8b-45b9-4653-ba55-5f855dd0fb88')
  }
}]

// An empty list without a private network. A condition inside of the loops is not in the grammar of every parser.
var endpointKinds = privateNetwork ? ['blob', 'queue'] : []

resource endpoints 'Microsoft.Network/privateEndpoints@2024-01-01' = [for kind in endpointKinds: {
  name: '${name}-${kind}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnet }
    privateLinkServiceConnections: [
      { name: kind, properties: { privateLinkServiceId: account.id, groupIds: [kind] } }
    ]
  }
}]

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for kind in endpointKinds: {
  name: 'privatelink.${kind}.${environment().suffixes.storage}'
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

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: queues
  properties: { workspaceId: workspace, logs: [{ category: 'StorageDelete', enabled: true }] }
}

output name string = account.name
output blobUrl string = 'https://${account.name}.blob.${environment().suffixes.storage}'
output queueUrl string = 'https://${account.name}.queue.${environment().suffixes.storage}'
