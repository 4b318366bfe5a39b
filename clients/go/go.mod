module keyferry/clients/go

go 1.22
