/* The page at /api/docs: Swagger UI on our own document. */
SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#explorer", deepLinking: true, validatorUrl: null });
