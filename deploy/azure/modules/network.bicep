// The virtual network: a subnet for each service that wants one of its own.
param location string
param name string
param tags object

resource guard 'Microsoft.Network/networkSecurityGroups@2024-01-01' = {
  name: '${name}-guard'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'mqtt-from-stations'
        properties: {
          priority: 200
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'VirtualNetwork'
          destinationPortRange: '1883'
        }
      }
    ]
  }
}

resource vnet 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: '${name}-net'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/16'] }
    subnets: [
      {
        name: 'workers'
        properties: {
          addressPrefix: '10.20.0.0/23'
          networkSecurityGroup: { id: guard.id }
          delegations: [{ name: 'app', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'api'
        properties: {
          addressPrefix: '10.20.4.0/26'
          networkSecurityGroup: { id: guard.id }
          delegations: [{ name: 'web', properties: { serviceName: 'Microsoft.Web/serverFarms' } }]
        }
      }
      {
        name: 'database'
        properties: {
          addressPrefix: '10.20.5.0/28'
          networkSecurityGroup: { id: guard.id }
          delegations: [{ name: 'postgres', properties: { serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers' } }]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: '10.20.6.0/26', networkSecurityGroup: { id: guard.id } }
      }
    ]
  }
}

output id string = vnet.id
output workers string = '${vnet.id}/subnets/workers'
output api string = '${vnet.id}/subnets/api'
output database string = '${vnet.id}/subnets/database'
output endpoints string = '${vnet.id}/subnets/endpoints'
