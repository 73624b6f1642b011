// One identity for the API and one for the workers. Each module gives them the roles of its own resource and no more.
param location string
param name string
param tags object

resource api 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-api'
  location: location
  tags: tags
}

resource worker 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-worker'
  location: location
  tags: tags
}

output apiId string = api.id
output apiPrincipal string = api.properties.principalId
output apiClient string = api.properties.clientId
output workerId string = worker.id
output workerPrincipal string = worker.properties.principalId
output workerClient string = worker.properties.clientId
