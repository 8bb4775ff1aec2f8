// Starts Swagger UI on the page that names the document's address.
const place = document.querySelector("#swagger-ui");
window.SwaggerUIBundle({ url: place.dataset.openapi, domNode: place, deepLinking: true });
